// node tools/check-server.mjs BASE_URL [MODEL]: whether Octavo.connect works with a server of another project. Needs `npm run build`. Each line says what
// was asked and what came of it; docs/servers.md records the runs. OCTAVO_API_KEY is sent where it is set.
import { Octavo } from '../dist/node.js';

const [baseURL = 'http://localhost:8000/v1', model] = process.argv.slice(2);
const apiKey = process.env['OCTAVO_API_KEY'];
let failed = 0;
const check = async (name, body) => {
  const begun = performance.now();
  try {
    const told = await body();
    console.log(`ok    ${name} (${((performance.now() - begun) / 1000).toFixed(1)} s): ${JSON.stringify(told)}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${error.name} ${error.code ?? ''} ${error.message}`);
  }
};
const need = (condition, what) => {
  if (!condition) throw new Error(what);
};

const options = { baseURL, timeout: 60_000, ...(model && { model }), ...(apiKey && { apiKey }) };
const remote = await Octavo.connect(options);
console.log(`${remote.device.description}, window ${remote.contextWindow}`);
const greedy = { temperature: 0, maxTokens: 24 };

await check('an answer, in pieces', async () => {
  const session = await remote.createSession({ initialPrompts: [{ role: 'system', content: 'Be brief.' }] });
  const answer = session.promptStreaming('What is the capital of France?', greedy);
  let text = '';
  let pieces = 0;
  for await (const piece of answer) {
    text += piece;
    pieces++;
  }
  const { finishReason, tokens } = await answer.finished;
  need(text !== '' && pieces > 1, 'nothing, or all at once');
  return { text, pieces, finishReason, tokens };
});
await check('the conversation goes on', async () => {
  const session = await remote.createSession();
  await session.prompt('My name is Ada. Remember it.', greedy);
  const text = await session.prompt('What is my name?', greedy);
  return { text, remembers: /Ada/.test(text), usage: session.usage.tokens };
});
await check('the same answer twice', async () => {
  const ask = async () => (await remote.createSession()).prompt('Count from one to five.', greedy);
  const [one, two] = [await ask(), await ask()];
  need(one === two, `${one} is not ${two}`);
  return one;
});
await check('an abort, and an answer after it', async () => {
  const session = await remote.createSession();
  const controller = new AbortController();
  let pieces = 0;
  try {
    const long = { temperature: 0, maxTokens: 400, signal: controller.signal };
    for await (const _ of session.promptStreaming('Tell me a long story.', long))
      if (++pieces === 3) controller.abort();
    need(false, 'it was not aborted');
  } catch (error) {
    need(error.name === 'AbortError', error.message);
  }
  return session.prompt('Say hello.', greedy);
});
await check('three at once', async () => {
  const ask = async (text) => (await remote.createSession()).prompt(text, { ...greedy, maxTokens: 8 });
  return Promise.all(['One?', 'Two?', 'Three?'].map(ask));
});
for (const [name, body] of [
  [
    'JSON by a schema',
    async () => {
      const schema = {
        type: 'object',
        properties: { city: { type: 'string', maxLength: 20 } },
        required: ['city'],
        additionalProperties: false,
      };
      const session = await remote.createSession();
      return JSON.parse(
        await session.prompt('The capital of France, as JSON.', {
          temperature: 0,
          maxTokens: 200,
          responseConstraint: schema,
        }),
      );
    },
  ],
  [
    'log-probabilities',
    async () => {
      const answer = (await remote.createSession()).promptStreaming('Say hello.', {
        ...greedy,
        maxTokens: 4,
        logprobs: 2,
      });
      for await (const _ of answer);
      const { logprobs = [] } = await answer.finished;
      need(logprobs.length > 0, 'none came');
      return logprobs.map(({ text, logprob }) => [text, logprob]);
    },
  ],
  ['raw completion', async () => (await remote.complete('The capital of France is', { ...greedy, maxTokens: 6 })).text],
  ['embeddings', async () => (await remote.embed(['a', 'b'])).dimensions],
])
  await check(`${name} (optional)`, body);
await remote.destroy();
console.log(failed === 0 ? 'all of it works' : `${failed} did not work`);
