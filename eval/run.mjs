// npm run eval -- nano|context|long|visual|perplexity|documents|rectangles|charts [--json FILE] [--only TEXT,TEXT] [--n N] [--device wasm|webgpu] [--threads N] [--model FILE] ...
// Held-out evaluations through the built SDK, each in a file of its own that says its options. Seeds are fixed: two runs give the same.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { Octavo } from 'octavo';
import { ACCURACY_OPTIONS, run as accuracy } from './accuracy.mjs';
import { drawAll } from './charts.mjs';
import { CONTEXT_OPTIONS, run as context } from './context.mjs';
import { DOCUMENT_OPTIONS, run as documents } from './documents.mjs';
import { LONG_OPTIONS, run as long } from './long.mjs';
import { run as perplexity, PERPLEXITY_OPTIONS } from './perplexity.mjs';
import { run as rectangles } from './rectangles.mjs';
import { run as visual, VISUAL_OPTIONS } from './visual.mjs';

const evaluations = {
  nano: [accuracy, ACCURACY_OPTIONS],
  context: [context, CONTEXT_OPTIONS],
  long: [long, LONG_OPTIONS],
  visual: [visual, VISUAL_OPTIONS],
  perplexity: [perplexity, PERPLEXITY_OPTIONS],
  documents: [documents, DOCUMENT_OPTIONS],
};
/** What all evaluations take; their own options come on top, each with its own defaults. */
const COMMON = {
  json: { type: 'string' },
  only: { type: 'string', default: '' },
  n: { type: 'string', default: '500' },
  device: { type: 'string', default: 'wasm' },
  model: { type: 'string' },
  threads: { type: 'string' },
};

const [name = ''] = process.argv.slice(2);
if (name === 'charts') {
  for (const file of drawAll()) console.log(file);
} else if (name === 'rectangles') {
  const { values } = parseArgs({ args: process.argv.slice(3), options: COMMON });
  await rectangles(values, `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, Node ${process.versions.node}`);
} else if (Object.hasOwn(evaluations, name)) {
  const [evaluate, options] = evaluations[name];
  const { values } = parseArgs({ args: process.argv.slice(3), options: { ...COMMON, ...options } });
  const model = await Octavo.load(values.model ?? 'nano', {
    device: values.device,
    ...(values.threads && { threads: Number(values.threads) }),
  });
  const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, Node ${process.versions.node}, ${model.device.description}`;
  console.log(`${model.name}, ${machine}\n`);
  await evaluate(model, values, machine);
  await model.destroy();
} else {
  console.error(
    `which evaluation? take of ${Object.keys(evaluations).join(', ')}, rectangles, or charts, which draws docs/ from their results`,
  );
  process.exit(2);
}
