// In the page: a document read by Octavo's built package and saved, or resumed; times to the first token of a question behind it.
import { Octavo } from '/dist/index.js';

const QUESTION = ' Where is the key?';

/** A letter a token; sentences of changing letters. */
function document(tokens) {
  let text = '';
  for (let i = 0; text.length < tokens; i += 1) text += String.fromCodePoint(97 + ((i * i + (i >> 4)) % 26));
  return text.slice(0, tokens);
}

async function open({ threads, build, tokens }) {
  const model = await Octavo.load(globalThis.document.querySelector('#file').files[0], {
    device: 'wasm',
    threads,
    build,
    contextWindow: tokens + 256,
  });
  // Compilers warm up on a short prompt, in both pages alike.
  await model.complete('a'.repeat(64), { maxTokens: 2, temperature: 0 });
  return model;
}

async function firstToken(session) {
  const begun = performance.now();
  await session.prompt(QUESTION, { maxTokens: 1, temperature: 0 });
  return performance.now() - begun;
}

globalThis.read = async (options) => {
  const model = await open(options);
  const begun = performance.now();
  const session = await model.createSession({ context: { kvBits: options.kvBits } });
  await session.append(document(options.tokens));
  const prefilled = performance.now();
  await session.save(options.name);
  const saved = performance.now();
  const { sessions } = Octavo;
  const stored = (await sessions.list()).find(({ name }) => name === options.name)?.bytes ?? 0;
  const answered = await firstToken(session);
  await model.destroy();
  return { prefill: prefilled - begun, save: saved - prefilled, stored, firstToken: prefilled - begun + answered };
};

globalThis.resume = async (options) => {
  const model = await open(options);
  const begun = performance.now();
  const session = await model.resumeSession(options.name);
  const resumed = performance.now();
  const usage = session.contextUsage;
  const answered = await firstToken(session);
  await model.destroy();
  return { resume: resumed - begun, firstToken: resumed - begun + answered, usage };
};
globalThis.ready = true;
