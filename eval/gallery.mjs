// npm run eval -- gallery --items FILE --out FILE [--only paint,edit] [--n N] [--steps N] [--diffusion-steps N] [--guidance N]
// Paints and edits the gallery's held-out items (training/nano/heldout_gallery.py) and writes what came of them, gzipped JSON: { ..., painted: { task: [picture] } }.
// What it is worth is judged by `training/nano/evaluate_gallery.py --painted FILE`, which has the drawings and a classifier of them.
import { basename } from 'node:path';
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { openTasks, packed } from './pack.mjs';

export const GALLERY_OPTIONS = {
  items: { type: 'string' },
  out: { type: 'string' },
  steps: { type: 'string' },
  'diffusion-steps': { type: 'string' },
  guidance: { type: 'string' },
};

export async function run(model, values, machine) {
  for (const name of ['items', 'out']) if (values[name] === undefined) throw new Error(`--${name} FILE is missing`);
  const { facts, tasks } = openTasks(values.items);
  const options = {
    ...(values.steps && { steps: Number(values.steps) }),
    ...(values['diffusion-steps'] && { diffusionSteps: Number(values['diffusion-steps']) }),
    ...(values.guidance && { guidance: Number(values.guidance) }),
  };
  const painted = {};
  for (const [name, items] of tasks) {
    if (!values.only.split(',').some((part) => name.includes(part))) continue;
    const begun = performance.now();
    painted[name] = [];
    for (const [seed, { words, image }] of items.slice(0, Number(values.n)).entries()) {
      const picture =
        image === undefined
          ? await model.paint({ prompt: words, seed, size: facts.size, ...options })
          : await model.edit({ image, instruction: words, seed, size: facts.size, ...options });
      painted[name].push(packed(picture));
    }
    const seconds = (performance.now() - begun) / 1000;
    const { length } = painted[name];
    console.log(`${name.padEnd(16)} ${length} pictures, ${(seconds / Math.max(1, length)).toFixed(2)} s each`);
  }
  const record = {
    evaluation: 'gallery',
    model: basename(model.name),
    fingerprint: model.fingerprint,
    device: model.device.kind,
    machine,
    date: new Date().toISOString().slice(0, 10),
    ...facts,
    options,
    painted,
  };
  writeFileSync(values.out, gzipSync(JSON.stringify(record)));
}
