// What nano is asked, task by task, through the SDK alone. Every task yields one boolean an item; items are held out of training.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { decode, same, Scenes } from './scenes.mjs';

const here = (name) => readFileSync(new URL(name, import.meta.url));
export const items = JSON.parse(here('nano.json').toString());
export const documents = () => JSON.parse(gunzipSync(here('nano-documents.json.gz')).toString());
export const scenes = new Scenes(items.world);

/** Greedy answers of one session, each question asked as if it were the first. */
async function answer(session, content) {
  const fresh = await session.clone();
  try {
    return (await fresh.prompt(content)).trim();
  } finally {
    fresh.destroy();
  }
}

/** The document is read once and shared by its questions; the answer must be exact. */
async function* documentTask(model, rows, n) {
  let left = n;
  for (const [text, questions] of rows) {
    for (const [question, expected] of questions) {
      if (left-- <= 0) return;
      const session = await model.createSession({ temperature: 0, maxTokens: 32 });
      yield (await session.prompt(`${text}\n\n${question}`)).trim() === expected;
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
  for (const [code, question, expected] of rows.slice(0, n)) {
    const image = blind ? undefined : words ? scenes.renderWord(code) : scenes.render(decode(code));
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
    const picture = await model.edit({ image: scenes.render(decode(code)), instruction, seed: index, ...options });
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
      'absent 512': undefined,
    }).map(([name, goal]) => [
      `documents: ${name}`,
      { goal, run: (model, n) => documentTask(model, documents()[name], n) },
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
