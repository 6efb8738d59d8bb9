// npm run eval -- nano|gallery|context|long|visual|perplexity|documents|rectangles|charts [--json FILE] [--only TEXT,TEXT] [--n N] [--device wasm|webgpu] [--threads N] [--model FILE] ...
// Held-out evaluations through the built SDK, each in a file of its own that says its options. Seeds are fixed: two runs give the same.
import { cpus } from 'node:os';
import { Octavo } from 'octavo';
import { fail, readCommandLine } from '../tools/command-line.mjs';
import { ACCURACY_OPTIONS, run as accuracy } from './accuracy.mjs';
import { drawAll } from './charts.mjs';
import { CONTEXT_OPTIONS, run as context } from './context.mjs';
import { DOCUMENT_OPTIONS, run as documents } from './documents.mjs';
import { GALLERY_OPTIONS, run as gallery } from './gallery.mjs';
import { LONG_OPTIONS, run as long } from './long.mjs';
import { run as perplexity, PERPLEXITY_OPTIONS } from './perplexity.mjs';
import { run as rectangles } from './rectangles.mjs';
import { run as visual, VISUAL_OPTIONS } from './visual.mjs';

const evaluations = {
  nano: [accuracy, ACCURACY_OPTIONS],
  gallery: [gallery, GALLERY_OPTIONS],
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

const NAMES = [...Object.keys(evaluations), 'rectangles', 'charts'];
const [first = ''] = process.argv.slice(2);
const name = first.startsWith('-') ? '' : first;
const [evaluate, own = {}] = Object.hasOwn(evaluations, name) ? evaluations[name] : [];
const options = name === 'charts' ? {} : { ...COMMON, ...own };
const usage = NAMES.includes(name)
  ? `usage: npm run eval -- ${name} [options]`
  : `usage: npm run eval -- ${NAMES.join('|')} [options]\n\n\`charts\` draws docs/ from the results of the others; an evaluation's own options: npm run eval -- <name> --help`;
const { values } = readCommandLine(process.argv.slice(name === '' ? 2 : 3), options, usage);
const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, Node ${process.versions.node}`;

if (!NAMES.includes(name)) fail(name === '' ? 'no evaluation is named' : `no evaluation '${name}'`, options, usage);
if (name === 'charts') {
  for (const file of drawAll()) console.log(file);
} else if (name === 'rectangles') {
  await rectangles(values, machine);
} else {
  const model = await Octavo.load(values.model ?? 'nano', {
    device: values.device,
    ...(values.threads && { threads: Number(values.threads) }),
  });
  const described = `${machine}, ${model.device.description}`;
  console.log(`${model.name}, ${described}\n`);
  await evaluate(model, values, described);
  await model.destroy();
}
