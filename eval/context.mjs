// npm run eval -- context [--json FILE] [--only METHOD,...] [--parts documents,needles] [--rows 'sparse 1000',...] [--n N] [--lengths 512,...] [--depths 0,...] [--each N]
// What keeping less of a context costs: each method of methods.mjs on the same held-out documents and on a grid of needles, item by item beside the dense run.
// --parts followups: two more questions about each document in the same session, which what the first question dropped binds.
import { basename } from 'node:path';
import { askAll, equalIds } from './ask.mjs';
import { Haystacks } from './haystack.mjs';
import { chosen, METHODS } from './methods.mjs';
import { documents } from './nano.mjs';
import { ResultFile } from './record.mjs';
import { difference, share } from './statistics.mjs';

export const CONTEXT_OPTIONS = {
  parts: { type: 'string', default: 'documents,needles' },
  rows: { type: 'string', default: 'sparse 1000,sparse 2000,dense 512' },
  lengths: { type: 'string', default: '256,512,1000,1500,2000,2500' },
  depths: { type: 'string', default: '0,0.25,0.5,0.75,1' },
  each: { type: 'string', default: '10' },
};

const list = (text) => text.split(',').map((part) => part.trim());

/** `n` questions of a row, as input and expected answer. */
function questions(row, n) {
  const rows = documents()[row];
  if (rows === undefined) throw new Error(`--rows ${row}: take of ${Object.keys(documents()).join(', ')}`);
  return rows
    .flatMap(([text, asked]) => asked.map(([question, expected]) => ({ input: `${text}\n\n${question}`, expected })))
    .slice(0, n);
}

/** What a context of `input` takes: bytes of KV pages while the session lives. */
async function keptBytes(model, settings, input) {
  const before = await model.memory();
  const session = await model.createSession({ temperature: 0, maxTokens: 2, ...settings });
  await session.prompt(input);
  const { pageBytes } = await model.memory();
  session.destroy();
  return pageBytes - before.pageBytes;
}

/** Nothing is shared between items: what a method keeps of one document must not depend on what was asked before. */
const contextOf = (key) => ({ ...METHODS[key].context, share: false });

async function documentsPart(model, key, rows, n) {
  const context = contextOf(key);
  const recorded = {};
  for (const row of rows)
    recorded[row] = {
      ...(await askAll(model, { context }, questions(row, n))),
      bytes: await keptBytes(model, { context }, questions(row, 1)[0].input),
    };
  return recorded;
}

async function needlesPart(model, key, { lengths, depths, each }) {
  const context = contextOf(key);
  const haystacks = new Haystacks(model);
  const recorded = {};
  for (const length of lengths) {
    for (const depth of depths) {
      const items = await Promise.all(Array.from({ length: each }, (_, i) => haystacks.item(length, depth, i)));
      recorded[`${length} ${depth}`] = (await askAll(model, { context }, items)).outcomes;
    }
  }
  return recorded;
}

/** The second and third question about each of `n` documents, asked behind the first in one session. */
async function followupsPart(model, key, rows, n) {
  const recorded = {};
  for (const row of rows) {
    const texts = documents()[row].filter(([, asked]) => asked.length > 2);
    const [first, later] = [[], []];
    for (const [text, asked] of texts.slice(0, n)) {
      const session = await model.createSession({ temperature: 0, maxTokens: 32, context: contextOf(key) });
      for (const [i, [question, expected]] of asked.slice(0, 3).entries()) {
        const answer = await session.prompt(i === 0 ? `${text}\n\n${question}` : question);
        (i === 0 ? first : later).push(answer.trim() === expected ? '1' : '0');
      }
      session.destroy();
    }
    recorded[row] = { outcomes: later.join(''), first: first.join('') };
  }
  return recorded;
}

const percent = (x) => `${(100 * x).toFixed(1)} %`;
const points = (x) => `${x >= 0 ? '+' : ''}${(100 * x).toFixed(1)}`;

/** Outcomes of all rows or cells, one after the other. */
export const joined = (recorded) =>
  Object.values(recorded)
    .map((part) => part.outcomes ?? part)
    .join('');

function tell(key, recorded, base) {
  const all = joined(recorded);
  const { share: part, low, high, n } = share([...all].filter((digit) => digit === '1').length, all.length);
  const against =
    base === undefined || base === recorded || joined(base).length !== all.length
      ? ''
      : (({ difference: d, low, high }) => `  against dense ${points(d)} [${points(low)}, ${points(high)}]`)(
          difference(all, joined(base)),
        );
  const ids =
    base === undefined || Object.values(recorded)[0].ids === undefined || against === ''
      ? ''
      : `  equal answers ${percent(Object.keys(recorded).reduce((sum, row) => sum + equalIds(recorded[row], base[row]).answers, 0) / n)}`;
  console.log(
    `${METHODS[key].title.padEnd(52)} ${percent(part).padStart(7)} [${percent(low)}, ${percent(high)}]  n ${n}${against}${ids}`,
  );
}

/**
 * Measures and records; `values` are the command's options.
 * @param {import('../src/public.ts').OctavoModel} model
 * @param {Readonly<Record<string, string | undefined>>} values
 * @param {string} machine
 * @returns {Promise<{ grid: { lengths: number[]; depths: number[]; each: number }; parts: { documents: Record<string, Record<string, { outcomes: string; ids: string; bytes: number }>>; needles: Record<string, Record<string, string>> } }>}
 */
export async function run(model, values, machine) {
  const n = Number(values.n);
  const grid = {
    lengths: list(values.lengths).map(Number),
    depths: list(values.depths).map(Number),
    each: Number(values.each),
  };
  const rows = list(values.rows);
  const facts = {
    evaluation: 'context',
    model: basename(model.name),
    fingerprint: model.fingerprint,
    device: model.device.kind,
    n,
    rows,
    grid,
  };
  const file = new ResultFile(values.json, facts, machine);
  const parts = list(values.parts);
  const kept = { documents: {}, needles: {}, followups: {}, ...file.parts };
  for (const part of ['documents', 'needles', 'followups'].filter((name) => parts.includes(name))) {
    console.log(`\n${part}`);
    for (const [key] of chosen(values.only)) {
      const again =
        key === 'dense' && kept[part].dense !== undefined && values.only !== '' && !list(values.only).includes('dense');
      if (again) continue;
      try {
        const recorded = await {
          documents: () => documentsPart(model, key, rows, n),
          needles: () => needlesPart(model, key, grid),
          followups: () => followupsPart(model, key, rows, n),
        }[part]();
        kept[part][key] = recorded;
        file.add(part, key, recorded, Object.keys(METHODS));
        tell(key, recorded, kept[part].dense);
      } catch (error) {
        if (error?.name !== 'InputError') throw error;
        console.log(`${METHODS[key].title.padEnd(52)} refused: ${error.message}`);
      }
    }
  }
  return { ...facts, machine, parts: kept };
}
