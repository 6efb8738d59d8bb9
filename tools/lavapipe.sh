#!/usr/bin/env bash
# Unpacks Mesa's software driver for Vulkan from Debian's backports into .cache/lavapipe, without installing it, and prints the path of its ICD file. It has 16-bit
# floats and subgroups of 8, which SwiftShader has not. Ends with 1 where this Debian's mirror offers no backports.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$PWD/.cache/lavapipe
icd=$folder/lvp_icd.json
if [ ! -f "$icd" ]; then
  mkdir -p "$folder"/{lists/partial,archives/partial,sources,root}
  # The machine's own mirrors, for the suite of backports beside those that it has.
  cp /etc/apt/sources.list.d/debian.sources "$folder/sources/debian.sources"
  sed '/^Suites:/s/: *\([a-z]*\) .*$/: \1-backports/; /^Suites: .*-security/d' /etc/apt/sources.list.d/debian.sources |
    awk -v RS= -v ORS='\n\n' '/Suites: .*-backports/ && !/security/' > "$folder/sources/backports.sources"
  options=(-qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$folder/sources" -o Dir::State::lists="$folder/lists"
    -o Dir::Cache::archives="$folder/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
  suite=$(sed -n 's/^Suites: //p' "$folder/sources/backports.sources")
  {
    apt-get "${options[@]}" update
    apt-get "${options[@]}" install -y --no-install-recommends --reinstall --download-only -t "$suite" mesa-vulkan-drivers libvulkan1
  } >&2
  for package in "$folder"/archives/*.deb; do dpkg -x "$package" "$folder/root"; done
  libraries=$folder/root/usr/lib/$(uname -m)-linux-gnu
  sed "s#\"library_path\": *\"[^\"]*\"#\"library_path\": \"$libraries/libvulkan_lvp.so\"#" "$folder"/root/usr/share/vulkan/icd.d/lvp_icd*.json > "$icd"
fi
echo "$icd"
