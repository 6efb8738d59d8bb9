// npm run demo [-- wasm|webgpu|auto]: nano, the bundled model, answers questions about a bundled document. Nothing is downloaded, nothing leaves the machine.
import { readFile } from 'node:fs/promises';
import { Octavo } from 'octavo';

const folder = new URL('../models/nano/', import.meta.url);
const { document, questions } = JSON.parse(await readFile(new URL('demo.json', folder), 'utf8'));

const started = performance.now();
const model = await Octavo.load('nano', { device: process.argv[2] ?? 'wasm' });
console.log(`nano on ${model.device.description}, loaded in ${(performance.now() - started).toFixed(0)} ms\n`);
console.log(`${document.slice(0, 320).replace(/\s+\S*$/, '')} ...\n`);

const session = await model.createSession({ temperature: 0 });
let context = `${document}\n\n`;
for (const { question, answer } of questions) {
  const asked = performance.now();
  const reply = (await session.prompt(`${context}${question}`)).trim();
  context = '';
  console.log(`? ${question}\n  ${reply}${reply === answer ? '' : `   [the document says: ${answer}]`}   (${(performance.now() - asked).toFixed(0)} ms)`);
}
console.log(`\n${session.contextUsage} of ${session.contextWindow} tokens used: the document was read once, with the first question.`);
session.destroy();
await model.destroy();
