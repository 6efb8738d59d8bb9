// Pictures and questions in one file (training/nano/heldout_collages.py writes it): { split, seed, size, drawings, pictures, kinds }, gzipped.
import { readFileSync } from 'node:fs';
import { gunzipSync, inflateSync } from 'node:zlib';

/** base64 of deflated rows of RGB -> RGBA of a square. */
function unpacked(text, size) {
  const rgb = inflateSync(Buffer.from(text, 'base64'));
  if (rgb.length !== 3 * size * size) throw new Error(`a picture of ${rgb.length} bytes instead of ${3 * size * size}`);
  const data = new Uint8ClampedArray(4 * size * size).fill(255);
  for (let i = 0; i < size * size; i += 1) data.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
  return { data, width: size, height: size };
}

/** `facts` go into the record; `rows(kind)` gives what is asked as { image, question, expected }. */
export function openPack(path) {
  const { pictures, kinds, ...facts } = JSON.parse(gunzipSync(readFileSync(path)).toString());
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
