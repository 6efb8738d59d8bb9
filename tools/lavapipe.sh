#!/usr/bin/env bash
# Unpacks Mesa's software driver for Vulkan from Debian's backports into .cache/lavapipe, without installing it, and prints the path of its ICD file; its
# libraries lie in `lib` beside it. It has 16-bit floats and subgroups of 8, which SwiftShader has not. Ends with an error where this Debian's mirror offers no
# backports.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$PWD/.cache/lavapipe
icd=$folder/lvp_icd.json
if [ ! -f "$icd" ]; then
  rm -rf "$folder"
  mkdir -p "$folder"/{lists/partial,archives/partial,sources,root}
  # The machine's own mirrors, for the suite of backports beside those that it has.
  cp /etc/apt/sources.list.d/debian.sources "$folder/sources/debian.sources"
  sed '/^Suites:/s/: *\([a-z]*\) .*$/: \1-backports/' /etc/apt/sources.list.d/debian.sources |
    awk -v RS= -v ORS='\n\n' '/Suites: [a-z]+-backports/' > "$folder/sources/backports.sources"
  options=(-qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$folder/sources" -o Dir::State::lists="$folder/lists"
    -o Dir::Cache::archives="$folder/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
  suite=$(sed -n 's/^Suites: //p' "$folder/sources/backports.sources")
  {
    apt-get "${options[@]}" update
    apt-get "${options[@]}" install -y --no-install-recommends --reinstall --download-only -t "$suite" mesa-vulkan-drivers libvulkan1
  } >&2
  for package in "$folder"/archives/*.deb; do dpkg -x "$package" "$folder/root"; done
  # Packages of one architecture: all libraries into one folder, beside the ICD file that names the driver there.
  mv "$(dirname "$(find "$folder/root" -name libvulkan_lvp.so)")" "$folder/lib"
  sed "s#\"library_path\": *\"[^\"]*\"#\"library_path\": \"$folder/lib/libvulkan_lvp.so\"#" "$(find "$folder/root" -name 'lvp_icd*.json')" > "$icd"
fi
echo "$icd"
