// npm run eval -- perplexity --model FILE --text FILE [--from TEXT] [--characters N] [--window 512] [--prompt 0] [--context kvBits=4,...]... [--json FILE]
// How well a model foretells a text, by options of the context: mean negative log-likelihood of a token, in nats and in bits, and perplexity.
// The text is read in windows that start anew; `--prompt N`: N tokens of each are read as a prompt and the rest one by one, as an answer is.
// `--context` is given once a row, its members by dots: kvBits=4, or prefill.method=blocks,prefill.budget=0.25; `dense` is no option at all. Where it leaves
// something open (kvBits=auto, preset=small), what was chosen and why is printed and recorded, too.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { ResultFile } from './record.mjs';

export const PERPLEXITY_OPTIONS = {
  text: { type: 'string' },
  from: { type: 'string', default: '' },
  characters: { type: 'string' },
  window: { type: 'string', default: '512' },
  prompt: { type: 'string', default: '0' },
  context: { type: 'string', multiple: true, default: ['dense'] },
};

/** `kvBits=4,prefill.method=blocks` as a session's `context`. */
export function readContext(text) {
  const context = {};
  if (text === 'dense') return context;
  for (const part of text.split(',')) {
    const [path, value] = part.split('=');
    if (value === undefined) throw new Error(`--context ${text}: ${part} should be like kvBits=4`);
    const names = path.trim().split('.');
    let into = context;
    for (const name of names.slice(0, -1)) into = into[name] ??= {};
    into[names.at(-1)] = /^(true|false|[\d.]+)$/.test(value) ? JSON.parse(value) : value;
  }
  return context;
}

/** The text of a file from the first `from` on, its line breaks as \n. */
export function readText(path, from = '', characters) {
  const whole = readFileSync(path, 'utf8').replaceAll('\r\n', '\n');
  const start = whole.indexOf(from);
  if (start < 0) throw new Error(`--from: ${JSON.stringify(from)} is not in ${path}`);
  return whole.slice(start, characters === undefined ? undefined : start + Number(characters));
}

/** What a session with this context chooses, and why; undefined where nothing is left open. */
async function choice(model, context) {
  if (context.kvBits !== 'auto' && context.preset === undefined) return undefined;
  const session = await model.createSession({ context });
  const { options, reason } = session.context;
  session.destroy();
  return { options, reason };
}

const round = (x, digits) => Number(x.toFixed(digits));

/** Measures and records; `values` are the command's options. */
export async function run(model, values, machine) {
  if (values.text === undefined) throw new Error('which text? give --text FILE');
  const text = readText(values.text, values.from, values.characters);
  const [window, prompt] = [Number(values.window), Number(values.prompt)];
  const facts = {
    evaluation: 'perplexity',
    model: basename(model.name),
    fingerprint: model.fingerprint,
    device: model.device.kind,
    text: {
      file: basename(values.text),
      from: values.from,
      characters: text.length,
      sha256: createHash('sha256').update(text).digest('hex'),
    },
    window,
    prompt,
  };
  const file = new ResultFile(values.json, facts, machine);
  const rows = { ...file.parts.contexts };
  console.log(`${'context'.padEnd(40)} ${'tokens'.padStart(7)} ${'nats'.padStart(8)} ${'bits'.padStart(8)} perplexity`);
  for (const key of values.context) {
    const started = performance.now();
    const context = readContext(key);
    const chosen = await choice(model, context);
    const { tokens, nll, perplexity } = await model.score(text, {
      context: chosen?.options ?? context,
      window,
      prompt,
    });
    const seconds = round((performance.now() - started) / 1000, 1);
    rows[key] = {
      tokens,
      nll: round(nll, 5),
      bits: round(nll / Math.LN2, 5),
      perplexity: round(perplexity, 3),
      seconds,
      ...(chosen && { chosen }),
    };
    file.add('contexts', key, rows[key], Object.keys(rows));
    const { bits } = rows[key];
    console.log(
      `${key.padEnd(40)} ${String(tokens).padStart(7)} ${nll.toFixed(4).padStart(8)} ${bits.toFixed(4).padStart(8)} ${perplexity.toFixed(3).padStart(10)}${chosen === undefined ? '' : `  ${chosen.reason}`}`,
    );
  }
  return { ...facts, machine, parts: { contexts: rows } };
}
