// dist/THIRD-PARTY-NOTICES.txt: name, version and licence text of every package of which something is in dist/. The licences of what is bundled ask for it.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Folders of packages by what was bundled so far, and further notices: for all builds of a run. */
const found = new Set();
const others = new Set();

/** The folder of the package that a file below node_modules belongs to; undefined for others. */
export function packageFolder(file) {
  const match = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file.replaceAll('\\', '/'));
  return match?.[1];
}

/** One package's notice. Throws where it brings no licence. */
export function notice(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
  if (license === undefined && files.length === 0) throw new Error(`${name} brings no licence`);
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8').trim());
  return [`${name} ${version} (${license ?? 'see below'})`, ...texts].join('\n\n');
}

/** A rollup plugin that notes what goes into each build, and writes the file anew after each. `also`: notices of what is taken otherwise. */
export const notices = (also = []) => ({
  name: 'notices',
  generateBundle(_, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue;
      for (const [id, { renderedLength }] of Object.entries(chunk.modules)) {
        const folder = renderedLength > 0 ? packageFolder(id) : undefined;
        if (folder !== undefined && existsSync(join(folder, 'package.json'))) found.add(folder);
      }
    }
    for (const text of also) others.add(text);
  },
  writeBundle() {
    const line = `\n\n${'-'.repeat(80)}\n\n`;
    const text = [...[...found].sort((a, b) => a.localeCompare(b)).map(notice), ...others].join(line);
    writeFileSync('dist/THIRD-PARTY-NOTICES.txt', `Octavo contains parts of these packages.${line}${text}\n`);
  },
});
