// Pictures in packs, gzipped JSON: with questions about them (training/nano/heldout_collages.py writes it): { split, seed, size, drawings, pictures, kinds }; with words to paint and edit
// by (heldout_gallery.py): { seed, n, size, drawings, pictures, tasks }.
import { readFileSync } from 'node:fs';
import { deflateSync, gunzipSync, inflateSync } from 'node:zlib';

/** base64 of deflated rows of RGB -> RGBA of a square. */
function unpacked(text, size) {
  const rgb = inflateSync(Buffer.from(text, 'base64'));
  if (rgb.length !== 3 * size * size) throw new Error(`a picture of ${rgb.length} bytes instead of ${3 * size * size}`);
  const data = new Uint8ClampedArray(4 * size * size).fill(255);
  for (let i = 0; i < size * size; i += 1) data.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
  return { data, width: size, height: size };
}

/** The same in the other direction. */
export function packed({ data, width, height }) {
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i += 1) rgb.set(data.subarray(4 * i, 4 * i + 3), 3 * i);
  return deflateSync(rgb).toString('base64');
}

const readPack = (path) => JSON.parse(gunzipSync(readFileSync(path)).toString());

/** `facts` go into the record; `rows(kind)` gives what is asked as { image, question, expected }. */
export function openPack(path) {
  const { pictures, kinds, ...facts } = readPack(path);
  return {
    facts,
    kinds: Object.keys(kinds),
    rows: (kind) =>
      kinds[kind]?.map(([picture, question, expected]) => ({
        image: () => unpacked(pictures[picture], facts.size),
        question,
        expected,
      })),
  };
}

/** `facts` go into the record; `tasks` are [name, items], an item { words, image } with the picture that is to be edited, if any. */
export function openTasks(path) {
  const { pictures, tasks, n: _n, ...facts } = readPack(path);
  return {
    facts,
    tasks: Object.entries(tasks).map(([name, items]) => [
      name,
      items.map(([words, picture]) => ({
        words,
        image: picture === null ? undefined : unpacked(pictures[picture], facts.size),
      })),
    ]),
  };
}
