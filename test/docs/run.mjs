// Runs the samples whose files are named, one after the other in this process, with what they take for granted (world.d.ts), and prints what each of
// them printed as JSON. Relative paths of samples are those of a temporary folder that holds picture.png and notes.txt.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Octavo } from '../../dist/node.js';

const folder = mkdtempSync(join(tmpdir(), 'octavo-samples-'));
const nano = new URL('../../models/nano/', import.meta.url);
const { document } = JSON.parse(readFileSync(new URL('demo.json', nano), 'utf8'));
cpSync(fileURLToPath(new URL('demo.png', nano)), join(folder, 'picture.png'));
writeFileSync(join(folder, 'notes.txt'), document);
process.env.OCTAVO_CACHE = join(folder, 'cache');
process.chdir(folder);

const model = await Octavo.load('nano', { device: 'wasm' });
const file = new File([document], 'notes.txt', { type: 'text/plain' });
const blob = new Blob([readFileSync('picture.png')], { type: 'image/png' });
const outcomes = {};
const print = console.log;

for (const script of process.argv.slice(2)) {
  const lines = [];
  const session = await model.createSession();
  Object.assign(globalThis, { model, embedder: model, session, file, blob, show: () => undefined });
  console.log = (...parts) =>
    lines.push(parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' '));
  try {
    await import(pathToFileURL(script).href);
    outcomes[script] = { lines };
  } catch (error) {
    outcomes[script] = { lines, error: String(error?.stack ?? error) };
  }
  session.destroy();
}
console.log = print;
console.log(JSON.stringify(outcomes));
rmSync(folder, { recursive: true, force: true });
process.exit(0);
