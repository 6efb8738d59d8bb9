/** The stories that every browser engine must play, as calls on the page's global object. */
import { Octavo } from '/octavo/dist/index.js';

const NANO = '/octavo/models/nano/nano.gguf';
const DOCUMENT = 'The code of the north gate is 4711. The code of the south gate is 2024.';
let model;

const pixels = (size) => {
  const data = new Uint8ClampedArray(4 * size * size).map((_, i) => (i % 4 === 0 || i % 4 === 3 ? 255 : 0));
  return { data, width: size, height: size };
};

const stories = {
  async load() {
    model = await Octavo.load(NANO, { device: 'wasm' });
    return model.device.description;
  },
  async text() {
    const session = await model.createSession({ temperature: 0 });
    let streamed = '';
    for await (const piece of session.promptStreaming(`${DOCUMENT}\n\nWhat is the code of the north gate?`))
      streamed += piece;
    session.destroy();
    return streamed;
  },
  async see() {
    const session = await model.createSession({ temperature: 0 });
    const answer = await session.prompt([
      {
        role: 'user',
        content: [
          { type: 'image', value: pixels(64) },
          { type: 'text', value: 'How many things are there?' },
        ],
      },
    ]);
    session.destroy();
    return answer;
  },
  async paint() {
    const picture = await model.paint({ prompt: 'a red circle northwest', seed: 7 });
    return [...picture.data.subarray(0, 4)];
  },
  async save() {
    const session = await model.createSession({ temperature: 0 });
    await session.append(DOCUMENT);
    await session.save('gates');
    session.destroy();
    return (await Octavo.sessions.list()).map(({ name }) => name);
  },
  async resume() {
    const session = await model.resumeSession('gates');
    const answer = await session.prompt('What is the code of the south gate?');
    session.destroy();
    return answer;
  },
  async destroy() {
    await model.destroy();
    return 'destroyed';
  },
};

globalThis.isolated = globalThis.crossOriginIsolated;
globalThis.play = (name) => stories[name]().catch((error) => ({ error: `${error.name}: ${error.message}` }));
