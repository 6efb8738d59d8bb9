// A page's script for Chrome's Prompt API: a conversation that streams, an answer by a schema, and a copy of the session.
// was: const { LanguageModel } = globalThis;
const LanguageModel = (await import('octavo/prompt-api')).createLanguageModel(
  (await import('octavo')).Octavo,
  process.env.MODEL ?? 'nano',
);

if ((await LanguageModel.availability()) === 'unavailable') throw new Error('no model here');
const session = await LanguageModel.create({
  samplingMode: 'most-predictable',
  initialPrompts: [{ role: 'system', content: 'You answer briefly.' }],
  monitor(m) {
    m.addEventListener('downloadprogress', (e) => console.error(`${Math.round(e.loaded * 100)} %`));
  },
});

let streamed = '';
for await (const chunk of session.promptStreaming('Say hello to Anna.')) streamed += chunk;

const copy = await session.clone();
const schema = {
  type: 'object',
  properties: { language: { enum: ['English', 'French', 'German'] }, sure: { type: 'boolean' } },
  required: ['language', 'sure'],
  additionalProperties: false,
};
const json = await copy.prompt('In which language is "Guten Morgen"?', { responseConstraint: schema });
const used = session.inputUsage ?? session.contextUsage;
console.log(JSON.stringify({ streamed, judged: JSON.parse(json), used }));
session.destroy();
copy.destroy();
