/** What every project does with the SDK: text, then a painting, whose code is fetched when it is needed. */
export async function use(Octavo, model) {
  const loaded = await Octavo.load(model, { device: 'wasm', store: false });
  const { text } = await loaded.complete('The code of the north gate is 4711. What is the code?', {
    temperature: 0,
    maxTokens: 4,
  });
  const picture = await loaded.paint({ prompt: 'a red circle northwest', seed: 7, steps: 2 });
  const result = { text: typeof text, width: picture.width, device: loaded.device.description };
  await loaded.destroy();
  return result;
}
