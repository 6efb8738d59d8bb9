// In the page: nano's answers about pictures that it has not seen, its paintings and edits, by the clock.
const QUESTION = 'What is in the picture?';
const PROMPT = 'a dog northwest and a red circle southeast on blue';
const INSTRUCTION = 'Replace the dog with a fox';
const SIZE = 128;

/** Blots of colour, others for each seed. */
function picture(seed) {
  const canvas = new OffscreenCanvas(SIZE, SIZE);
  const paper = canvas.getContext('2d');
  let state = seed + 1;
  const below = (n) => (state = (state * 48_271) % 2_147_483_647) % n;
  for (let i = 0; i < 5; i += 1) {
    paper.fillStyle = `rgb(${below(256)} ${below(256)} ${below(256)})`;
    paper.fillRect(i === 0 ? 0 : below(96), i === 0 ? 0 : below(96), i === 0 ? SIZE : 32, i === 0 ? SIZE : 32);
  }
  return paper.getImageData(0, 0, SIZE, SIZE);
}

globalThis.run = async ({ threads, runs }) => {
  const { Octavo } = await import('/dist/index.js');
  const file = document.querySelector('#file').files[0];
  const samples = { loaded: [], 'question, first token': [], 'question, whole answer': [], painting: [], edit: [] };
  let begun = performance.now();
  const lap = (name) => samples[name].push(performance.now() - begun);
  const model = await Octavo.load(file, { device: 'wasm', threads });
  lap('loaded');
  for (let seed = 0; seed < runs; seed += 1) {
    const value = picture(seed);
    const session = await model.createSession({ temperature: 0, maxTokens: 32 });
    const content = [
      { type: 'image', value },
      { type: 'text', value: QUESTION },
    ];
    begun = performance.now();
    let first = true;
    for await (const piece of session.promptStreaming([{ role: 'user', content }])) {
      if (first && piece !== '') lap('question, first token');
      first = false;
    }
    lap('question, whole answer');
    session.destroy();
    begun = performance.now();
    const painted = await model.paint({ prompt: PROMPT, seed });
    lap('painting');
    begun = performance.now();
    await model.edit({ image: painted, instruction: INSTRUCTION, seed });
    lap('edit');
  }
  const { description: device } = model.device;
  await model.destroy();
  return { device, isolated: crossOriginIsolated, samples };
};
globalThis.ready = true;
