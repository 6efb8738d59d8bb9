// node rasterise.mjs OUT [--every-hand] : draws every name of names.json by every hand of HANDS that has it, at the sizes of SIZES, into OUT/drawings.bin (RGBA,
// straight alpha, one drawing after another) and OUT/drawings.json (names, hands with their licences, and where each drawing lies). With --every-hand also by
// those of JUDGING_HANDS. The same packages give the same bytes.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Resvg } from '@resvg/resvg-js';

/** Sides in pixels. Each drawing is drawn at every size, so that training only has to paste. */
const SIZES = [26, 32, 38, 44, 56, 72];
/** Share of a drawing's opaque pixels that must have one colour for the drawing to be called by it. */
const ONE_COLOUR = 0.6;
/** hand -> package; the hand 'twemoji' is held out of training (training/nano/drawings.py). */
const HANDS = {
  fluent: 'fluent-emoji-flat',
  noto: 'noto',
  'noto-v1': 'noto-v1',
  emojione: 'emojione',
  fxemoji: 'fxemoji',
  twemoji: 'twemoji',
};
/** Hands from which only the judge of nano's paintings learns (training/nano/recogniser.py): share-alike, or of one colour. */
const JUDGING_HANDS = {
  openmoji: 'openmoji',
  'emojione-v1': 'emojione-v1',
  streamline: 'streamline-emojis',
  'emojione-monotone': 'emojione-monotone',
};

/** resvg 2.6.2 aborts the process on these (a path of no extent). */
const REFUSED = new Set(['ambulance noto-v1', 'coffee noto-v1', 'ladybird noto-v1']);

const json = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const optional = (name) => {
  try {
    return json(name);
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw error;
  }
};

function openHand(packageName) {
  const folder = `node_modules/@iconify-json/${packageName}`;
  const set = json(`${folder}/icons.json`);
  const { license, author, name } = json(`${folder}/info.json`);
  const { version } = json(`${folder}/package.json`);
  const names = optional(`${folder}/chars.json`);
  return { set, chars: names, facts: { title: name, author: author.name, licence: license.spdx, package: `@iconify-json/${packageName}`, version } };
}

/** An icon by name, aliases followed (those that turn or mirror are not taken). */
function iconOf(set, name) {
  let at = name;
  for (let depth = 0; depth < 4 && !(at in set.icons); depth += 1) {
    const alias = set.aliases?.[at];
    if (alias === undefined || alias.rotate || alias.hFlip || alias.vFlip) return undefined;
    at = alias.parent;
  }
  const icon = set.icons[at];
  return icon && { body: icon.body, width: icon.width ?? set.width, height: icon.height ?? set.height, left: icon.left ?? 0, top: icon.top ?? 0 };
}

/** The names that the sets with code points give to the same character, so that differently named drawings of one thing meet. */
function otherNames(hands, name) {
  const coded = Object.values(hands).filter(({ chars }) => Object.keys(chars).length > 0);
  const codes = new Set(coded.flatMap(({ chars }) => Object.entries(chars).filter(([, own]) => own === name).map(([code]) => code.replace(/-fe0f/g, ''))));
  const all = coded.flatMap(({ chars }) => Object.entries(chars).filter(([code]) => codes.has(code.replace(/-fe0f/g, ''))).map(([, own]) => own));
  return [...new Set([name, ...all, ...all.map((own) => own.replaceAll('-', '')), name.replaceAll('-', '')])];
}

function draw({ body, width, height, left, top }, side) {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${side}" height="${side}" viewBox="${left} ${top} ${width} ${height}">${body}</svg>`;
  const image = new Resvg(svg, { fitTo: { mode: 'original' } }).render();
  if (image.width !== side || image.height !== side) throw new Error(`drawn at ${image.width} x ${image.height} instead of ${side}`);
  const pixels = Buffer.from(image.pixels); // premultiplied
  for (let i = 0; i < pixels.length; i += 4) {
    const alpha = pixels[i + 3];
    if (alpha > 0 && alpha < 255) for (let k = 0; k < 3; k += 1) pixels[i + k] = Math.min(255, Math.round((pixels[i + k] * 255) / alpha));
  }
  return pixels;
}

/** The colour word of a pixel; undefined for pale skin and bread tones, which people name differently. */
function colourOf(r, g, b) {
  const max = Math.max(r, g, b);
  const spread = max - Math.min(r, g, b);
  const saturation = max === 0 ? 0 : spread / max;
  if (max < 85) return 'black';
  if (saturation < 0.22) return max > 215 ? 'white' : 'grey';
  const hue = 60 * (max === r ? ((g - b) / spread + 6) % 6 : max === g ? (b - r) / spread + 2 : (r - g) / spread + 4);
  if (hue < 14 || hue >= 343) return saturation < 0.58 && max > 215 ? 'pink' : max < 145 || saturation < 0.62 ? 'brown' : 'red';
  if (hue < 43) return saturation < 0.6 && max > 205 ? undefined : max < 205 ? 'brown' : 'orange';
  if (hue < 68) return max < 150 ? 'brown' : 'yellow';
  if (hue < 172) return 'green';
  if (hue < 253) return 'blue';
  if (hue < 292) return 'purple';
  return saturation < 0.75 && max > 170 ? 'pink' : 'purple';
}

/** The one colour of a drawing, or null. */
function mainColour(pixels) {
  const counts = new Map();
  let opaque = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i + 3] < 200) continue;
    const word = colourOf(pixels[i], pixels[i + 1], pixels[i + 2]);
    counts.set(word, (counts.get(word) ?? 0) + 1);
    opaque += 1;
  }
  const [first] = [...counts].sort((a, b) => b[1] - a[1]);
  return first?.[0] !== undefined && first[1] >= ONE_COLOUR * opaque ? first[0] : null;
}

const [out, option] = process.argv.slice(2);
if (out === undefined || (option !== undefined && option !== '--every-hand')) {
  console.error('node rasterise.mjs OUT [--every-hand]');
  process.exit(2);
}
mkdirSync(out, { recursive: true });
const wanted = option === undefined ? HANDS : { ...HANDS, ...JUDGING_HANDS };
const hands = Object.fromEntries(Object.entries(wanted).map(([hand, packageName]) => [hand, openHand(packageName)]));
const parts = [];
const drawings = [];
let offset = 0;
for (const [category, words] of Object.entries(json('names.json'))) {
  for (const [name, icon] of Object.entries(words)) {
    const known = otherNames(hands, icon);
    const here = [];
    for (const [hand, { set }] of Object.entries(hands)) {
      if (REFUSED.has(`${name} ${hand}`)) continue;
      const found = known.map((own) => iconOf(set, own)).find((candidate) => candidate !== undefined);
      if (found === undefined) continue;
      const sizes = SIZES.map((side) => draw(found, side));
      drawings.push({ name, category, hand, colour: mainColour(sizes.at(-1)), offset });
      parts.push(...sizes);
      offset += sizes.reduce((sum, { length }) => sum + length, 0);
      here.push(hand);
    }
    if (!here.includes('twemoji') || here.length < 3) console.error(`${name} (${icon}): only by ${here.join(', ') || 'nobody'}`);
  }
}
const bytes = Buffer.concat(parts);
writeFileSync(join(out, 'drawings.bin'), bytes);
const facts = { sizes: SIZES, sha256: createHash('sha256').update(bytes).digest('hex'), hands: Object.fromEntries(Object.entries(hands).map(([hand, { facts: own }]) => [hand, own])), drawings };
writeFileSync(join(out, 'drawings.json'), `${JSON.stringify(facts)}\n`);
console.log(`${drawings.length} drawings, ${bytes.length} bytes, SHA-256 ${facts.sha256}`);
