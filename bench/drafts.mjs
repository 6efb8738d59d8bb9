// What guessing next tokens from the context gains (src/generate/drafts.ts): the same greedy answers with and without, interleaved, of the built package in
// Node. --model: a real file, since random weights quote nothing. Answers that quote (a text repeated, code changed in one place, a sentence looked up) and one
// that does not.
import { Octavo } from '../dist/node.js';
import { median, table } from './statistics.mjs';

const TEXT = `The lighthouse at Skerryvore was built between 1838 and 1844 by Alan Stevenson. It stands on a reef eleven miles southwest of Tiree, and its tower of
granite is 156 feet high. Four thousand tons of stone were quarried on Mull, shaped at Hynish and carried out to the rock in the summer months only, because the swell
made landing impossible in winter. The light was first shown on the first of February 1844; a fire damaged the tower in 1954, and it was automated in 1994.`;
const CODE = `function total(orders) {
  let sum = 0;
  for (const order of orders) {
    if (order.cancelled) continue;
    for (const line of order.lines) {
      sum += line.price * line.quantity;
    }
    sum += order.shipping;
  }
  return sum;
}`;
const QUESTIONS = {
  repeat: `Repeat the following text word for word, and nothing else.\n\n${TEXT}`,
  edit: `Rename the variable "sum" to "amount" in this code. Write the whole code again, and nothing else.\n\n\`\`\`js\n${CODE}\n\`\`\``,
  quote: `${TEXT}\n\nQuote the sentence which says when the light was first shown, and explain it.`,
  free: 'Write a short story about a gardener and a fox.',
};

export async function run({ model: path, threads = '1,2', tokens = '120', runs }) {
  if (path === undefined) throw new Error('--model FILE.gguf is missing; npm run models fetches one');
  const results = [];
  for (const count of threads.split(',').map(Number)) {
    const model = await Octavo.load(path, { device: 'wasm', threads: count });
    for (const [kind, question] of Object.entries(QUESTIONS)) {
      const rates = { with: [], without: [] };
      let drafts;
      for (let i = 0; i < Number(runs); i++) {
        const texts = [];
        for (const which of ['without', 'with']) {
          const session = await model.createSession({ temperature: 0 });
          const stream = session.promptStreaming(question, { maxTokens: Number(tokens), drafts: which === 'with' });
          let text = '';
          for await (const piece of stream) text += piece;
          const report = await stream.finished;
          texts.push(text);
          rates[which].push(report.rate.decode);
          if (which === 'with') drafts = { ...report.drafts, generated: report.tokens.generated };
          session.destroy();
        }
        if (texts[0] !== texts[1]) throw new Error(`${kind}: the answers differ:\n${texts.join('\n---\n')}`);
      }
      results.push({ answer: kind, threads: count, device: model.device.description, drafts, rates });
    }
    await model.destroy();
  }
  console.log(
    table([
      ['answer', 'threads', 'tokens', 'guessed', 'right', 'tokens/s without', 'with', 'ratio'],
      ...results.map(({ answer, threads: count, drafts, rates }) => [
        answer,
        String(count),
        String(drafts.generated),
        String(drafts.guessed),
        String(drafts.right),
        median(rates.without).toFixed(1),
        median(rates.with).toFixed(1),
        (median(rates.with) / median(rates.without)).toFixed(2),
      ]),
    ]),
  );
  return { model: path.replace(/^.*[/\\]/, ''), results };
}
