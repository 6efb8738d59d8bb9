// Compiles assembly/ once per target of asconfig.json, skipping targets newer than every source.
import { readFileSync, readdirSync, statSync, existsSync, mkdirSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
const config = JSON.parse(readFileSync('asconfig.json', 'utf8'));
const wanted = process.argv.slice(2).filter((a) => !a.startsWith('-'));
const sources = [
  'asconfig.json',
  ...readdirSync('assembly', { recursive: true }).map((f) => join('assembly', String(f))),
];
const newest = Math.max(...sources.map((f) => statSync(f).mtimeMs));

for (const [name, target] of Object.entries(config.targets)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  if (existsSync(target.outFile) && statSync(target.outFile).mtimeMs > newest) continue;
  mkdirSync(dirname(target.outFile), { recursive: true });
  const { error, stderr, stdout } = await asc.main(['--config', 'asconfig.json', '--target', name]);
  process.stdout.write(stdout.toString());
  if (error) {
    process.stderr.write(stderr.toString());
    throw new Error(`asc failed for target ${name}: ${error.message}`);
  }
}
