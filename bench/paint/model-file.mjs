// A UniPic model in an official shape with random weights, as the converter would write it: language model in Q4_0, embeddings, MAR, head and projections in Q8_0, VAE in F16.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { generator, tensors as languageTensors, TYPES, Writer, writeGguf } from '../files.mjs';
import { metadataOf, SHAPES } from './shapes.mjs';

/** GGUF's numbers of value types. */
const VALUES = { u32: 4, f32: 6, string: 8 };
const ARRAY = 9;
/** Noise is drawn once and repeated: what the values are does not change the time. */
const NOISE_BYTES = 1 << 20;

function metadata(shape) {
  const w = new Writer();
  const keys = metadataOf(shape);
  for (const [key, type, value] of keys) {
    if (!type.endsWith('[]')) {
      w.key(key, VALUES[type])[type](value);
      continue;
    }
    const element = type.slice(0, -2);
    w.key(key, ARRAY).u32(VALUES[element]).u64(value.length);
    for (const one of value) w[element](one);
  }
  return { bytes: w.bytes(), count: keys.length };
}

/** The converter's choice (training/convert/gguf_file.py): block formats where 32 divides the columns. */
function formatOf(name, shape, table) {
  if (table || shape.length === 1) return 'F32';
  const wanted = name.startsWith('blk.') ? 'Q4_0' : name.startsWith('vae.') ? 'F16' : 'Q8_0';
  return shape.at(-1) % 32 === 0 ? wanted : 'F16';
}

const isNorm = (name) => /norm\d?\.weight$|_ln\.weight$|norm_out\.weight$/.test(name);

/** Finite values whose sums over a row are near 1: block scales and halves get an exponent for the number of columns. */
function filler() {
  const next = generator(1);
  const noise = Buffer.alloc(NOISE_BYTES);
  for (let at = 0; at < NOISE_BYTES; at += 4) noise.writeUInt32LE(next(), at);
  const half = (exponent) => (15 + exponent) << 10;
  return (buffer, { name, type, columns }) => {
    const exponent = -Math.round(Math.log2(columns) / 2);
    if (type === 'F32') {
      const mean = isNorm(name) ? 1 : 0;
      for (let at = 0; at < buffer.length; at += 4)
        buffer.writeFloatLE(mean + (noise.readUInt32LE(at % NOISE_BYTES) / 2 ** 32 - 0.5) / 5, at);
      return;
    }
    for (let at = 0; at < buffer.length; at += NOISE_BYTES)
      noise.copy(buffer, at, 0, Math.min(NOISE_BYTES, buffer.length - at));
    if (type === 'F16') {
      const halves = new Uint16Array(buffer.buffer, buffer.byteOffset, buffer.length / 2);
      // Sign and mantissa of the noise.
      for (let i = 0; i < halves.length; i += 1) halves[i] = (halves[i] & 0x83ff) | half(exponent - 1);
      return;
    }
    const scale = half(exponent - (type === 'Q4_0' ? 2 : 6));
    for (let at = 0; at < buffer.length; at += TYPES[type][2]) buffer.writeUInt16LE(scale, at);
  };
}

/** `graph`: bench/paint/graph.ts, bundled. Gives the path, made now if it is not there yet, and the numbers of parameters by part. */
export function paintFile(directory, name, graph) {
  const shape = SHAPES[name];
  const values = new Map(metadataOf(shape).map(([key, , value]) => [key, value]));
  const { tensors } = graph.partTensors(values, shape.language.vocabulary, shape.language.hidden);
  const all = [
    ...languageTensors({ ...shape.language, architecture: 'qwen2' }, 'Q8_0').map(({ name, shape }) => ({
      name,
      shape: shape.toReversed(),
      table: false,
    })),
    ...tensors,
  ];
  const parameters = { language: 0, mar: 0, vae: 0 };
  for (const t of all)
    parameters[/^(blk\.|token_embd|output)/.test(t.name) ? 'language' : t.name.startsWith('vae.') ? 'vae' : 'mar'] +=
      t.shape.reduce((a, b) => a * b, 1);
  const path = join(directory, `${name}-paint.gguf`);
  if (!existsSync(path)) {
    mkdirSync(directory, { recursive: true });
    const list = all.map((t) => ({
      name: t.name,
      shape: t.shape.toReversed(),
      columns: t.shape.at(-1),
      type: formatOf(t.name, t.shape, t.table),
    }));
    writeGguf(path, metadata(shape), list, filler());
  }
  return { path, parameters };
}
