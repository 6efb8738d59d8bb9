// Generates the vision part (mmproj) of SmolVLM-256M with random weights in F16: SigLIP of 12 blocks over tiles of 512 pixels, 64 tokens a tile.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { generator, writeGguf, Writer } from './files.mjs';

const TOWER = { width: 768, mlp: 3072, blocks: 12, heads: 12, size: 512, patch: 16, shuffle: 4 };

function metadata() {
  const w = new Writer();
  let count = 0;
  const put = (k, type, write) => {
    w.key(k, type);
    write();
    count += 1;
  };
  const u32 = (k, v) => put(k, 4, () => w.u32(v));
  const f32 = (k, v) => put(k, 6, () => w.f32(v));
  const flag = (k) => put(k, 7, () => w.parts.push(Buffer.from([1])));
  const list = (k, values) =>
    put(k, 9, () => {
      w.u32(6).u64(values.length);
      for (const v of values) w.f32(v);
    });
  put('general.architecture', 8, () => w.string('clip'));
  put('general.name', 8, () => w.string('random'));
  u32('general.alignment', 32);
  put('clip.projector_type', 8, () => w.string('idefics3'));
  flag('clip.has_vision_encoder');
  flag('clip.use_gelu');
  u32('clip.vision.image_size', TOWER.size);
  u32('clip.vision.patch_size', TOWER.patch);
  u32('clip.vision.embedding_length', TOWER.width);
  u32('clip.vision.feed_forward_length', TOWER.mlp);
  u32('clip.vision.block_count', TOWER.blocks);
  u32('clip.vision.attention.head_count', TOWER.heads);
  f32('clip.vision.attention.layer_norm_epsilon', 1e-6);
  u32('clip.vision.projector.scale_factor', TOWER.shuffle);
  u32('clip.vision.preproc_image_size', 4 * TOWER.size);
  list('clip.vision.image_mean', [0.5, 0.5, 0.5]);
  list('clip.vision.image_std', [0.5, 0.5, 0.5]);
  return { bytes: w.bytes(), count };
}

function tensors(hidden) {
  const { width, mlp, blocks, size, patch, shuffle } = TOWER;
  const list = [];
  const matrix = (name, rows, cols) => list.push({ name, shape: [cols, rows], type: 'F16' });
  const vector = (name, n, value) => list.push({ name, shape: [n], type: 'F32', value });
  const norm = (name) => {
    vector(`${name}.weight`, width, 1);
    vector(`${name}.bias`, width, 0);
  };
  list.push({ name: 'v.patch_embd.weight', shape: [patch, patch, 3, width], type: 'F16' });
  vector('v.patch_embd.bias', width, 0);
  matrix('v.position_embd.weight', (size / patch) ** 2, width);
  for (let b = 0; b < blocks; b += 1) {
    const p = `v.blk.${b}.`;
    norm(`${p}ln1`);
    norm(`${p}ln2`);
    for (const [name, rows, cols] of [
      ['attn_q', width, width],
      ['attn_k', width, width],
      ['attn_v', width, width],
      ['attn_out', width, width],
      ['ffn_up', mlp, width],
      ['ffn_down', width, mlp],
    ]) {
      matrix(`${p}${name}.weight`, rows, cols);
      vector(`${p}${name}.bias`, rows, 0);
    }
  }
  norm('v.post_ln');
  matrix('mm.model.fc.weight', hidden, shuffle * shuffle * width);
  return list;
}

/** The path of the generated file, made now if it is not there yet. Half floats are 0.008 to 0.03, of both signs. */
export function projectorFile(directory, hidden) {
  const path = join(directory, `smolvlm-256m-mmproj.gguf`);
  if (existsSync(path)) return path;
  mkdirSync(directory, { recursive: true });
  const next = generator(2);
  writeGguf(path, metadata(), tensors(hidden), (buffer, { type, value }) => {
    if (type === 'F32') for (let at = 0; at < buffer.length; at += 4) buffer.writeFloatLE(value, at);
    else
      for (let at = 0; at < buffer.length; at += 2) {
        const bits = next();
        buffer.writeUInt16LE(((bits & 1) << 15) | (0x2000 + ((bits >>> 8) & 0x7ff)), at);
      }
  });
  return path;
}
