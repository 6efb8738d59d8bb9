// What nano is asked, task by task, through the SDK alone. Every task yields one boolean an item; items are held out of training.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { decode, same, Scenes } from './scenes.mjs';

const here = (name) => readFileSync(new URL(name, import.meta.url));
export const items = JSON.parse(here('nano.json').toString());
export const documents = () => JSON.parse(gunzipSync(here('nano-documents.json.gz')).toString());
const ABSENT = 'The document does not say.';
/** Documents that were written without the generator, in two sets: rows of `documents` by what is asked. */
const handwritten = (set, kind) =>
  JSON.parse(here('nano-handwritten.json').toString())[set].map((entry) => [
    entry.document,
    kind === 'absent'
      ? entry.absent.map((question) => [question, ABSENT])
      : kind === 'followUp'
        ? entry.followUp
          ? [entry.followUp.flat()]
          : []
        : entry.questions,
  ]);
export const scenes = new Scenes(items.world);
/** How much larger the model's own pictures are than the small world's, which are enlarged for it. */
export const scaleFor = (model) => Math.max(1, Math.floor((model.painting?.size ?? 0) / items.world.size));

/** Greedy answers of one session, each question asked as if it were the first. */
async function answer(session, content) {
  const fresh = await session.clone();
  try {
    return (await fresh.prompt(content)).trim();
  } finally {
    fresh.destroy();
  }
}

/**
 * Of each question whether its answer is exactly the expected one, which stands behind it; a follow-up has its first question and that one's answer, which
 * is not counted, before it. `refused`: whether the answer is that the document does not say it.
 */
async function* documentTask(model, rows, n, { refused = false } = {}) {
  let left = n;
  for (const [text, questions] of rows) {
    for (const turns of questions) {
      if (left-- <= 0) return;
      const [question, expected] = turns.slice(-2);
      const session = await model.createSession({
        temperature: 0,
        maxTokens: 32,
        ...(turns.length === 4 && {
          initialPrompts: [
            { role: 'user', content: `${text}\n\n${turns[0]}` },
            { role: 'assistant', content: ` ${turns[1]}` },
          ],
        }),
      });
      const answer = await session.prompt(turns.length === 4 ? question : `${text}\n\n${question}`);
      yield answer.trim() === (refused ? ABSENT : expected);
      session.destroy();
    }
  }
}

const user = (image, text) => [
  {
    role: 'user',
    content: [...(image === undefined ? [] : [{ type: 'image', value: image }]), { type: 'text', value: text }],
  },
];

/** `blind`: the same questions without the picture, for the share that guessing gets. */
async function* seeingTask(model, rows, n, { blind = false, words = false } = {}) {
  const empty = await model.createSession({ temperature: 0, maxTokens: 32 });
  const scale = scaleFor(model);
  for (const [code, question, expected] of rows.slice(0, n)) {
    const image = blind ? undefined : words ? scenes.renderWord(code, scale) : scenes.render(decode(code), scale);
    yield (await answer(empty, user(image, question))) === expected;
  }
  empty.destroy();
}

async function* paintingTask(model, rows, n, options) {
  for (const [index, [prompt, code]] of rows.slice(0, n).entries()) {
    const picture = await model.paint({ prompt, seed: index, ...options });
    yield same(scenes.read(picture), decode(code));
  }
}

async function* editingTask(model, rows, n, options) {
  for (const [index, [code, instruction, result]] of rows.slice(0, n).entries()) {
    const image = scenes.render(decode(code), scaleFor(model));
    const picture = await model.edit({ image, instruction, seed: index, ...options });
    yield same(scenes.read(picture), decode(result));
  }
}

/** name -> run(model, n, options) -> async iterator of booleans. `goal`: what the project wants to reach. */
export const tasks = {
  ...Object.fromEntries(
    Object.entries({
      'sparse 512': 0.95,
      'sparse 1000': 0.9,
      'sparse 2000': 0.75,
      'dense 512': 0.75,
      'absent 512': 0.8,
      'everyday 512': undefined,
      'two facts 512': undefined,
      'follow-ups 512': undefined,
      'everyday absent 512': 0.8,
    }).map(([name, goal]) => [
      `documents: ${name}`,
      { goal, run: (model, n) => documentTask(model, documents()[name], n) },
    ]),
  ),
  ...Object.fromEntries(
    ['sparse 512', 'everyday 512'].map((name) => [
      `refused falsely: ${name}`,
      { run: (model, n) => documentTask(model, documents()[name], n, { refused: true }) },
    ]),
  ),
  'handwritten: first': { goal: 0.833, run: (model, n) => documentTask(model, handwritten('first'), n) },
  ...Object.fromEntries(
    [
      ['second', undefined],
      ['absent', 'absent'],
      ['follow-ups', 'followUp'],
    ].map(([name, kind]) => [
      `handwritten: ${name}`,
      { run: (model, n) => documentTask(model, handwritten('second', kind), n) },
    ]),
  ),
  ...Object.fromEntries(
    Object.entries({ colour: 0.9, shape: 0.9, count: 0.9, existence: 0.8, position: 0.8, describe: 0.7 }).flatMap(
      ([kind, goal]) => [
        [`seeing: ${kind}`, { goal, run: (model, n) => seeingTask(model, items.see[kind], n) }],
        [`seeing blind: ${kind}`, { run: (model, n) => seeingTask(model, items.see[kind], n, { blind: true }) }],
      ],
    ),
  ),
  'reading words': { run: (model, n) => seeingTask(model, items.words.read, n, { words: true }) },
  ...Object.fromEntries(
    Object.entries({ one: 0.97, two: 0.92, three: 0.8 }).map(([count, goal]) => [
      `painting: ${count}`,
      { goal, run: (model, n, options) => paintingTask(model, items.paint[count], n, options) },
    ]),
  ),
  ...Object.fromEntries(
    Object.entries({ recolour: 0.9, remove: 0.9, move: 0.8, add: 0.8 }).map(([kind, goal]) => [
      `editing: ${kind}`,
      { goal, run: (model, n, options) => editingTask(model, items.edit[kind], n, options) },
    ]),
  ),
};

/** Rows of the table of goals: tasks taken together. */
export const groups = {
  'seeing: colour, shape, count, existence': ['seeing: colour', 'seeing: shape', 'seeing: count', 'seeing: existence'],
  'seeing blind: colour, shape, count, existence': [
    'seeing blind: colour',
    'seeing blind: shape',
    'seeing blind: count',
    'seeing blind: existence',
  ],
  'editing: recolour and remove': ['editing: recolour', 'editing: remove'],
  'editing: move and add': ['editing: move', 'editing: add'],
};
