/**
 * What every project does with the SDK: a conversation with a language model where the page's address ends in ?text, else text and then a painting, whose
 * code is fetched when it is needed.
 */
export async function use(Octavo, model) {
  const chats = globalThis.location?.search === '?text';
  const loaded = await Octavo.load(chats ? '/models/tiny.gguf' : model, { device: 'wasm', store: false });
  const session = await loaded.createSession({ temperature: 0, maxTokens: 4 });
  const text = await session.prompt('What is the code of the north gate?');
  const picture = chats ? undefined : await loaded.paint({ prompt: 'a red circle northwest', seed: 7, steps: 2 });
  const result = { text: typeof text, width: picture?.width, device: loaded.device.description };
  await loaded.destroy();
  return result;
}
