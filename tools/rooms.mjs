// The rooms of the project from the lowest to the highest, and the check that imports only point downwards.
// `npm run lint` runs it. docs/architecture.md shows the same list; test/tools/rooms.test.ts compares the two with the tree.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * Every folder and file below `gpu/` and `src/` belongs to the longest entry that its path begins with. A file may import its own room and every
 * room above it in this list.
 */
export const ROOMS = [
  'gpu',
  'src/errors.ts',
  'src/hash-library.ts',
  'src/hash.ts',
  'src/backend/weight.ts',
  'src/backend/backend.ts',
  'src/wasm-exports.ts',
  'src/wasm.ts',
  'src/backend',
  'src/store',
  'src/load',
  'src/text',
  'src/constrain',
  'src/vision',
  'src/platform/platform.ts',
  'src/kv',
  'src/layers',
  'src/select',
  'src/models',
  'src/see',
  'src/chat',
  'src/generate',
  'src/embed',
  'src/paint',
  'src/saved',
  'src/session.ts',
  'src/worker',
  'src/remote',
  'src/engine',
  'src/document',
  'src/face',
  'src/platform',
  'src/entries',
  'src/openai',
  'src/cli',
  'src/public.ts',
  'src/index.ts',
  'src/node.ts',
  'src/in-scope.ts',
  'src/electron',
  'src/nano.ts',
  'src/nano-text.ts',
  'src/ai-sdk',
  'src/prompt-api.ts',
  'src/react.ts',
  'src/ocr-tesseract.ts',
];

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const posix = (path) => path.split(sep).join('/');

/** The room of a file, as its place in ROOMS; undefined for a file that no room holds. */
export function roomOf(file) {
  let best;
  ROOMS.forEach((room, place) => {
    const inside = file === room || file.startsWith(room.endsWith('/') ? room : `${room}/`);
    if (inside && (best === undefined || room.length > ROOMS[best].length)) best = place;
  });
  return best;
}

/** What a module imports from the project, as paths from the root: static imports, re-exports, and dynamic imports of a literal. */
export function importsOf(file, text) {
  const found = [];
  for (const [, specifier] of text.matchAll(/(?:\bfrom|\bimport\s*\(|\bimport)\s*'(\.{1,2}\/[^']+)'/g))
    found.push(posix(normalize(join(dirname(file), specifier))));
  return found;
}

/** Every import that points upwards, and every file that no room holds, as sentences. */
export function violations(files) {
  const faults = [];
  for (const [file, text] of files) {
    const here = roomOf(file);
    if (here === undefined) {
      faults.push(`${file} belongs to no room of tools/rooms.mjs`);
      continue;
    }
    for (const target of importsOf(file, text)) {
      if (!target.startsWith('src/') && !target.startsWith('gpu/')) continue;
      const there = roomOf(target);
      if (there === undefined || there > here)
        faults.push(
          `${file} (${ROOMS[here]}) imports ${target}${there === undefined ? ', which belongs to no room' : ` (${ROOMS[there]}), a higher room`}`,
        );
    }
  }
  return faults;
}

/** The sources below `gpu/` and `src/` with their texts. */
export function sources() {
  return ['gpu', 'src'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .map((name) => posix(join(folder, String(name))))
      .filter((name) => name.endsWith('.ts'))
      .map((name) => [name, readFileSync(join(root, name), 'utf8')]),
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const faults = violations(sources());
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exit(1);
}
