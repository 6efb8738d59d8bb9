// What the first answer after loading costs more than a second one, because V8 has not yet optimised the kernels: processor time of the engine's thread, and of all
// threads, in this process (Linux), so that other work on the machine does not count:
//   node bench/kernels/first.mjs --model=FILE.gguf [--build=relaxed] [--prompt=60] [--tokens=64]
// Needs the built package (npm run build). The engine's thread is the one that has worked longest.
import { readFileSync, readdirSync } from 'node:fs';

const option = (name, otherwise) => process.argv.find((a) => a.startsWith(`--${name}=`))?.split('=')[1] ?? otherwise;
const { Octavo } = await import('../../dist/node.js');

/** Milliseconds of processor time by thread. */
const times = () =>
  new Map(
    readdirSync('/proc/self/task').map((id) => {
      const [nanoseconds] = readFileSync(`/proc/self/task/${id}/schedstat`, 'utf8').split(' ');
      return [id, Number(nanoseconds) / 1e6];
    }),
  );

const text =
  'The lighthouse keeper wrote in his journal every night about the weather, the ships and the birds that passed. ';
const words = text.repeat(40).slice(0, 4.5 * Number(option('prompt', 60)));
const model = await Octavo.load(option('model'), {
  device: 'wasm',
  threads: 1,
  build: option('build', 'relaxed'),
  contextWindow: 2048,
});
const session = await model.createSession({ maxTokens: Number(option('tokens', 64)), temperature: 0, drafts: false });
const marks = [times()];
for (const turn of ['First', 'Second']) {
  const stream = session.promptStreaming(`${turn}: ${words} Tell a very long story about it.`);
  let begun = false;
  for await (const piece of stream) {
    if (!begun && piece !== '') marks.push(times());
    begun = true;
  }
  marks.push(times());
}
const [engine] = [...marks.at(-1)].toSorted(([, a], [, b]) => b - a)[0];
const spent = (from, to) => Math.round((marks[to].get(engine) ?? 0) - (marks[from].get(engine) ?? 0));
const all = (from, to) =>
  Math.round([...marks[to]].reduce((sum, [id, ms]) => sum + ms - (marks[from].get(id) ?? 0), 0));
const answer = (from) => ({
  firstToken: spent(from, from + 1),
  others: spent(from + 1, from + 2),
  allThreads: all(from, from + 2),
});
console.log(JSON.stringify({ build: option('build', 'relaxed'), first: answer(0), second: answer(2) }));
await model.destroy();
