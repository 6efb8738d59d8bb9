// npm run eval -- visual [--json FILE] [--only METHOD,...] [--shares 1,0.5,...] [--kinds colour,...] [--n N] [--items FILE]
// --items: a pack of pictures and questions (training/nano/heldout_collages.py) instead of the small world's.
// What dropping visual tokens costs: each way of choosing them at each kept share, on the same held-out pictures and questions, item by item beside the run with all tokens.
import { basename } from 'node:path';
import { ask, askAll } from './ask.mjs';
import { items, scaleFor, scenes } from './nano.mjs';
import { openPack } from './pack.mjs';
import { decode } from './scenes.mjs';
import { ResultFile } from './record.mjs';
import { difference, share } from './statistics.mjs';

export const VISUAL_OPTIONS = {
  shares: { type: 'string', default: '1,0.5,0.25,0.1,0.05' },
  kinds: { type: 'string', default: '' },
  items: { type: 'string', default: '' },
};

/** key -> a title, and the session's `context.visual` but for the number that is kept. */
export const SELECTIONS = {
  todre: { title: 'ToDRE, stage 1 (max-sum)', visual: { method: 'todre', spread: 'sum' } },
  'todre-center': { title: 'ToDRE, k-center', visual: { method: 'todre' } },
  'todre-stages': { title: 'ToDRE (max-sum), both stages', visual: { method: 'todre', spread: 'sum', release: true } },
  divprune: { title: 'DivPrune', visual: { method: 'divprune' } },
  cdpruner: { title: 'CDPruner', visual: { method: 'cdpruner' } },
  'cdpruner-negated': { title: 'CDPruner, negated', visual: { method: 'cdpruner', negated: true } },
  showui: { title: 'ShowUI', visual: { method: 'showui' } },
  random: { title: 'random', visual: { method: 'random', seed: 1 } },
};
/** Every token: what all others are compared with. And the same questions without a picture, for the share that guessing gets. */
export const ALL = 'all';
export const BLIND = 'blind';

const list = (text) => text.split(',').map((part) => part.trim());

/** The small world's items, in the form of a pack's; `scale`: of its pictures. */
const smallWorld = (scale) => ({
  facts: {},
  kinds: [...Object.keys(items.see), 'words'],
  rows: (kind) =>
    (kind === 'words' ? items.words.read : items.see[kind])?.map(([code, question, expected]) => ({
      image: () => (kind === 'words' ? scenes.renderWord(code, scale) : scenes.render(decode(code), scale)),
      question,
      expected,
    })),
});

function questions(source, kind, n, blind = false) {
  const rows = source.rows(kind);
  if (rows === undefined) throw new Error(`--kinds ${kind}: take of ${source.kinds.join(', ')}`);
  return rows.slice(0, n).map(({ image, question, expected }) => ({
    get input() {
      if (blind) return question;
      const content = [
        { type: 'image', value: image() },
        { type: 'text', value: question },
      ];
      return [{ role: 'user', content }];
    },
    expected,
  }));
}

/** What one picture and question takes: bytes of KV pages while the session lives. */
async function keptBytes(model, settings, input) {
  const before = await model.memory();
  const session = await model.createSession({ temperature: 0, maxTokens: 2, ...settings });
  await session.prompt(input);
  const { pageBytes } = await model.memory();
  session.destroy();
  return pageBytes - before.pageBytes;
}

async function measure(model, source, visual, kinds, n, blind = false) {
  const settings = { context: { visual, share: false } };
  const recorded = {};
  for (const kind of kinds) {
    const { ids: _ids, ...rest } = await askAll(model, settings, questions(source, kind, n, blind));
    recorded[kind] = rest;
  }
  return { kinds: recorded, bytes: await keptBytes(model, settings, questions(source, kinds[0], 1, blind)[0].input) };
}

/**
 * How many of a picture's tokens may go, and how many never do (MAR's buffers): found by asking for few. Shares are of those that may go,
 * so that a half is a half of the picture.
 */
async function picture(model, { input, expected }) {
  const kept = async (visual) =>
    (await ask(model, { maxTokens: 1, context: { visual, share: false } }, input, expected)).kept;
  const all = await kept('all');
  const least = await kept({ method: 'random', keep: 1e-6 });
  let fixed = 1;
  while (fixed < all && (await kept({ method: 'random', keep: fixed + 1 })) === least) fixed += 1;
  return { free: all - least + 1, fixed: fixed - 1 };
}

const percent = (x) => `${(100 * x).toFixed(1)} %`;
export const joined = ({ kinds }) =>
  Object.values(kinds)
    .map(({ outcomes }) => outcomes)
    .join('');

function tell(title, recorded, base) {
  const all = joined(recorded);
  const { share: part, low, high, n } = share([...all].filter((digit) => digit === '1').length, all.length);
  const sum = (field) => Object.values(recorded.kinds).reduce((total, kind) => total + kind[field], 0);
  const against =
    base === undefined || base === recorded
      ? ''
      : (({ difference: d, low, high }) => `  against all ${percent(d)} [${percent(low)}, ${percent(high)}]`)(
          difference(all, joined(base)),
        );
  console.log(
    `${title.padEnd(36)} ${percent(part).padStart(7)} [${percent(low)}, ${percent(high)}]  n ${n}${against}  tokens ${(sum('kept') / n).toFixed(1)}  first token ${(sum('prefill') / n).toFixed(1)} ms`,
  );
}

/**
 * @param {import('../src/public.ts').OctavoModel} model
 * @param {Readonly<Record<string, string | undefined>>} values
 * @param {string} machine
 * @returns {Promise<{ tokens: { free: number; fixed: number }; parts: { seeing: Record<string, { bytes: number; kinds: Record<string, { outcomes: string; kept: number }> }> } }>}
 */
export async function run(model, values, machine) {
  const n = Number(values.n);
  const shares = list(values.shares).map(Number);
  const source = values.items === '' ? smallWorld(scaleFor(model)) : openPack(values.items);
  const kinds = values.kinds === '' ? source.kinds : list(values.kinds);
  const only = values.only === '' ? Object.keys(SELECTIONS) : list(values.only);
  for (const name of only)
    if (!(name in SELECTIONS)) throw new Error(`--only ${name}: take of ${Object.keys(SELECTIONS).join(', ')}`);
  const { free, fixed } = await picture(model, questions(source, kinds[0], 1)[0]);
  const facts = {
    evaluation: 'visual',
    model: basename(model.name),
    fingerprint: model.fingerprint,
    device: model.device.kind,
    n,
    kinds,
    tokens: { free, fixed },
    ...source.facts,
  };
  console.log(`a picture has ${free} tokens that may go and ${fixed} that never do`);
  const file = new ResultFile(values.json, facts, machine);
  const order = [ALL, BLIND, ...Object.keys(SELECTIONS).flatMap((name) => shares.map((keep) => `${name} ${keep}`))];
  const kept = { seeing: {}, ...file.parts };
  const add = (key, recorded) => {
    kept.seeing[key] = recorded;
    file.add('seeing', key, recorded, order);
  };
  if (kept.seeing[ALL] === undefined || values.only === '') {
    add(ALL, await measure(model, source, 'all', kinds, n));
    add(BLIND, await measure(model, source, 'all', kinds, n, true));
  }
  tell('all tokens', kept.seeing[ALL], kept.seeing[ALL]);
  tell('no picture', kept.seeing[BLIND], kept.seeing[ALL]);
  for (const name of only) {
    const { title, visual } = SELECTIONS[name];
    for (const part of shares) {
      // All tokens of all methods are the same; the second stage drops what none of the others does.
      if (part === 1 && visual.release !== true) continue;
      const keep = fixed + Math.max(1, Math.round(part * free));
      add(`${name} ${part}`, await measure(model, source, { ...visual, keep }, kinds, n));
      tell(`${title}, ${percent(part)}`, kept.seeing[`${name} ${part}`], kept.seeing[ALL]);
    }
  }
  return { ...facts, machine, parts: kept };
}
