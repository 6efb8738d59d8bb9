// In the page: one measured run of Octavo's built package. Returns the same figures as the other engines.
/** The build under `dist`, a folder of the server. */
const octavo = async (dist = '/dist') => (await import(`${dist}/index.js`)).Octavo;

/** Reads an answer to its end, since one that nobody reads stands still after a few tokens, and gives its figures. */
const read = async (stream) => {
  for await (const piece of stream) void piece;
  return stream.finished;
};

globalThis.run = async ({ dist, threads, build, context = {}, prompt, newTokens, window }) => {
  const Octavo = await octavo(dist);
  const file = document.querySelector('#file').files[0];
  const started = performance.now();
  const model = await Octavo.load(file, {
    device: 'wasm',
    threads,
    build,
    contextWindow: window,
  });
  const loadMs = performance.now() - started;
  const settings = { maxTokens: newTokens, temperature: 0 };
  // Completions have no context of their own; a session adds a few tokens of its template.
  const { ids, time, tokens } =
    Object.keys(context).length === 0
      ? await model.complete(prompt, settings)
      : await read((await model.createSession({ ...settings, context })).promptStreaming(prompt));
  const result = {
    engine: 'octavo',
    device: model.device.description,
    isolated: crossOriginIsolated,
    promptTokens: tokens.prompt,
    tokens: ids.length,
    loadMs,
    prefill: tokens.prompt / (time.prefill / 1000),
    decode: (ids.length - 1) / (time.decode / 1000),
  };
  await model.destroy();
  return result;
};

/** The same in steps, each told to `mark` with what the engine says of its memory. */
globalThis.phases = async ({ threads, build, prompts: [first, second], newTokens, window }) => {
  const Octavo = await octavo();
  const file = document.querySelector('#file').files[0];
  const model = await Octavo.load(file, {
    device: 'wasm',
    threads,
    build,
    contextWindow: window,
  });
  await globalThis.mark('loaded', await model.memory());
  await model.complete(first, { maxTokens: 1, temperature: 0 });
  await globalThis.mark('prefilled', await model.memory());
  await model.complete(second, { maxTokens: newTokens, temperature: 0 });
  await globalThis.mark('decoded', await model.memory());
  await model.destroy();
};
globalThis.ready = true;
