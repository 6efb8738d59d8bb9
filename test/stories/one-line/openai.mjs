// A script on OpenAI's package: an answer, the same as a stream, and JSON by a schema.
import OpenAI from 'openai';

// was: const client = new OpenAI();
const client = new OpenAI({
  apiKey: 'none',
  fetch: (await import('octavo/openai')).createFetch(async () =>
    (await import('octavo')).Octavo.load(process.env.MODEL),
  ),
});

const ask = {
  model: process.env.MODEL,
  messages: [{ role: 'user', content: 'What is the capital of France? Answer with one word.' }],
  temperature: 0,
  max_tokens: 12,
};
const answer = await client.chat.completions.create(ask);

let streamed = '';
for await (const chunk of await client.chat.completions.create({ ...ask, stream: true }))
  streamed += chunk.choices[0]?.delta?.content ?? '';

const json = await client.chat.completions.create({
  ...ask,
  max_tokens: 200,
  messages: [{ role: 'user', content: 'Is Paris in France? Answer as JSON.' }],
  response_format: {
    type: 'json_schema',
    json_schema: {
      name: 'answer',
      strict: true,
      schema: {
        type: 'object',
        properties: { country: { enum: ['France', 'Spain'] }, certain: { type: 'boolean' } },
        required: ['country', 'certain'],
        additionalProperties: false,
      },
    },
  },
});
const { content } = answer.choices[0].message;
console.log(
  JSON.stringify({ content, streamed, judged: JSON.parse(json.choices[0].message.content), usage: answer.usage }),
);
