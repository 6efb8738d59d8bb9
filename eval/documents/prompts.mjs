// Other ways to ask than src/document/answer/prompt.ts has, to be compared with it on articles with even numbers (--articles even --prompt NAME) before one takes its place.

/** As prompt.ts writes it. */
const INSTRUCTION = 'Answer with words from the text, as briefly as possible.';

/** Two questions with short answers, as a conversation before the real one. */
const EXAMPLE = [
  {
    role: 'user',
    content: `The old harbour of Linden was built in 1904 by Ida Marsh, who also planned the lighthouse. It is 12 metres deep.\n\nQuestion: Who built the harbour of Linden?\n${INSTRUCTION}`,
  },
  { role: 'assistant', content: 'Ida Marsh' },
  { role: 'user', content: `Question: How deep is it?\n${INSTRUCTION}` },
  { role: 'assistant', content: '12 metres' },
];

const PROMPTS = {
  sentence: { instruction: 'Answer in one short sentence, with words from the text.' },
  copy: { instruction: 'Copy the sentence of the text that answers the question.' },
  exact: { instruction: 'Answer with the exact words of the text.' },
  full: { instruction: 'Answer with words from the text. Give names, numbers and units in full.' },
  example: { before: EXAMPLE },
};

/** The model, asked in another way. */
export function prompted(model, name) {
  if (!Object.hasOwn(PROMPTS, name)) throw new Error(`--prompt ${name}: take of ${Object.keys(PROMPTS).join(', ')}`);
  const { instruction = INSTRUCTION, before = [] } = PROMPTS[name];
  return {
    name: model.name,
    parameters: model.parameters,
    contextWindow: model.contextWindow,
    tokenize: (...given) => model.tokenize(...given),
    async createSession(options) {
      const session = await model.createSession({
        ...options,
        initialPrompts: [...before, ...(options.initialPrompts ?? [])],
      });
      return {
        promptStreaming(input, given) {
          if (!input.endsWith(INSTRUCTION))
            throw new Error('the prompt does not end with the instruction that is exchanged');
          return session.promptStreaming(input.slice(0, -INSTRUCTION.length) + instruction, given);
        },
        attribute: (...given) => session.attribute(...given),
        destroy: () => session.destroy(),
      };
    },
  };
}
