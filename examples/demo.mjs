// npm run demo [-- wasm|webgpu|auto]: the bundled models: nano sees, paints and edits, nano-text reads. Nothing is downloaded, nothing leaves the machine.
import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Octavo } from 'octavo';

/** Of the document's. */
const QUESTIONS = 6;
const SEED = 1;
const folder = new URL('../models/nano/', import.meta.url);
const { document, questions, picture, collage } = JSON.parse(await readFile(new URL('demo.json', folder), 'utf8'));
const out = join(tmpdir(), 'octavo-demo');
mkdirSync(out, { recursive: true });
const clock = () => {
  const begun = performance.now();
  return () => `${(performance.now() - begun).toFixed(0)} ms`;
};
const save = async (name, painted) => {
  const path = join(out, name);
  writeFileSync(path, await painted.toPng());
  return path;
};

let took = clock();
const device = process.argv[2] ?? 'wasm';
const model = await Octavo.load('nano', { device });
console.log(`nano on ${model.device.description}, loaded in ${took()}\n`);

for (const { file, questions: asked } of [collage, picture]) {
  const path = fileURLToPath(new URL(file, folder));
  console.log(`Sees  ${path}`);
  const looking = await model.createSession({ temperature: 0 });
  let image = [{ type: 'image', value: path }];
  for (const { question, answer } of asked) {
    took = clock();
    const reply = (
      await looking.prompt([{ role: 'user', content: [...image, { type: 'text', value: question }] }])
    ).trim();
    image = [];
    console.log(`  ? ${question}\n    ${reply}${reply === answer ? '' : `   [it is: ${answer}]`}   (${took()})`);
  }
  looking.destroy();
}

took = clock();
const painted = await model.paint({ prompt: picture.caption, seed: SEED });
console.log(`\nPaints  "${picture.caption}"\n  ${await save('painted.png', painted)}   (${took()})`);

took = clock();
const edited = await model.edit({ image: painted, instruction: picture.instruction, seed: SEED });
console.log(`\nEdits it  "${picture.instruction}"\n  ${await save('edited.png', edited)}   (${took()})`);

await model.destroy();

took = clock();
const reader = await Octavo.load('nano-text', { device });
console.log(`\nnano-text, loaded in ${took()}`);
console.log(
  `Reads\n  ${document
    .slice(0, 240)
    .replace(/\s+\S*$/, '')
    .replaceAll('\n', '\n  ')} ...`,
);
const reading = await reader.createSession({ temperature: 0 });
let context = `${document}\n\n`;
for (const { question, answer } of questions.slice(0, QUESTIONS)) {
  took = clock();
  const reply = (await reading.prompt(`${context}${question}`)).trim();
  context = '';
  console.log(
    `  ? ${question}\n    ${reply}${reply === answer ? '' : `   [the document says: ${answer}]`}   (${took()})`,
  );
}
console.log(
  `\n${reading.contextUsage} of ${reading.contextWindow} tokens used: the document was read once, with the first question.`,
);
reading.destroy();
await reader.destroy();
