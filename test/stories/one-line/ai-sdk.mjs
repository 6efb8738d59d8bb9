// An app on the AI SDK: a tool that is called and whose result is used, and an object by a schema.
import { generateObject, generateText, jsonSchema, stepCountIs, tool } from 'ai';
// was: import { openai as provider } from '@ai-sdk/openai';
import { octavo as provider } from 'octavo/ai-sdk';

const model = provider(process.env.MODEL);
const asked = [];
const { text, steps } = await generateText({
  model,
  prompt: 'What is the weather in Paris?',
  temperature: 0,
  maxOutputTokens: 80,
  stopWhen: stepCountIs(3),
  tools: {
    weather: tool({
      description: 'Gives the current weather of a city.',
      inputSchema: jsonSchema({
        type: 'object',
        properties: { city: { type: 'string', description: 'Name of the city' } },
        required: ['city'],
      }),
      execute: async ({ city }) => {
        asked.push(city);
        return 'It is 17 degrees and it rains.';
      },
    }),
  },
});

const { object } = await generateObject({
  model,
  prompt: 'Anna is 34 years old and likes tea. What does she drink, and how old is she?',
  temperature: 0,
  schema: jsonSchema({
    type: 'object',
    properties: { drink: { enum: ['coffee', 'tea', 'water'] }, age: { type: 'integer', minimum: 0, maximum: 120 } },
    required: ['drink', 'age'],
    additionalProperties: false,
  }),
});
console.log(JSON.stringify({ text, asked, steps: steps.length, object }));
