/** Answers that are drawn at random from the grammar of calls: whatever it allows is read as calls that fit, in every dialect. */
import { describe, expect, test } from '@jest/globals';
import { Constraints } from '../../../src/constrain/index.ts';
import { DividedAnswer } from '../../../src/chat/dialects/divided.ts';
import { functionGemma, gemma, gemma4 } from '../../../src/chat/dialects/gemma.ts';
import { answerGrammar, marksOf } from '../../../src/chat/dialects/grammar.ts';
import { hermes, tags } from '../../../src/chat/dialects/hermes.ts';
import { lfm2 } from '../../../src/chat/dialects/lfm2.ts';
import { granite, llama } from '../../../src/chat/dialects/listed.ts';
import { mistral, mistralIds, mistralNames } from '../../../src/chat/dialects/mistral.ts';
import type { ToolChoice } from '../../../src/chat/tools.ts';
import type { Tokenizer } from '../../../src/text/tokenizer.ts';
import { allows, toyTokenizer } from '../../constrain/toy.ts';
import { random } from '../../support/random.ts';

const TOOLS = [
  {
    name: 'get_weather',
    inputSchema: {
      type: 'object',
      properties: {
        city: { type: 'string', maxLength: 6 },
        days: { type: 'integer', minimum: 0, maximum: 20 },
        sure: { type: 'boolean' },
      },
      required: ['city'],
      additionalProperties: false,
    },
  },
  { name: 'now', inputSchema: { type: 'object', properties: {}, additionalProperties: false } },
];
const DIALECTS = [hermes, tags, llama, granite, mistral, mistralNames, mistralIds, lfm2, gemma, functionGemma, gemma4];

/** Calls in the words of the grammar, so that draws need not spell them. */
const tokenizer = toyTokenizer([
  'get_weather',
  'now',
  'city',
  'days',
  'sure',
  '"arguments": ',
  '<tool_call>\n',
  '```tool_code\n',
  '</parameter>\n',
]);
/** Marks are text in this vocabulary. */
const marks = marksOf({ encode: () => new Int32Array(0) } as unknown as Tokenizer);
const constraints = new Constraints(tokenizer, tokenizer.facts.vocabulary);
const end = tokenizer.facts.eos[0]!;

/** First bytes of what ends a value; drawn more often, so that answers end. */
const CLOSING = new Set(new TextEncoder().encode('<"})]'));

/** An answer drawn at random; undefined where it got too long. */
function drawn(dialect: (typeof DIALECTS)[number], choice: ToolChoice, seed: number): string | undefined {
  const grammar = answerGrammar({
    calls: dialect.grammar(
      typeof choice === 'object' ? TOOLS.filter(({ name }) => name === choice.name) : TOOLS,
      marks,
    ),
    choice,
    thoughts: undefined,
    opened: false,
    answer: undefined,
    marks,
  });
  const constraint = constraints.constraint(grammar!);
  const r = random(seed);
  const ids: number[] = [];
  while (!constraint.done) {
    const mask = constraint.mask();
    // Ends where it may, so that answers stay short.
    if (allows(mask, end)) break;
    const may = Array.from({ length: tokenizer.facts.vocabulary }, (_, id) => id).filter((id) => allows(mask, id));
    expect(may.length).toBeGreaterThan(0);
    const closing = r.integer(0, 2) === 0 ? may.filter((id) => CLOSING.has(tokenizer.tokenBytes(id)[0]!)) : [];
    const from = closing.length > 0 ? closing : may;
    const id = from[r.integer(0, from.length)]!;
    expect(constraint.accept(id)).toBe(true);
    ids.push(id);
    if (ids.length > 600) return undefined;
  }
  return tokenizer.decode(ids);
}

describe.each(DIALECTS.map((dialect) => [dialect.name, dialect] as const))('%s', (_, dialect) => {
  test.each(['required', { name: 'get_weather' }] as const)('toolChoice %j', (choice) => {
    let read = 0;
    for (let seed = 0; seed < 8; seed++) {
      const text = drawn(dialect, choice, seed);
      if (text === undefined) continue;
      const divided = new DividedAnswer({ dialect, tools: TOOLS, thoughts: undefined, within: undefined, id: String });
      divided.push(text, false);
      divided.end();
      expect([text, divided.calls.length > 0]).toEqual([text, true]);
      for (const { name, arguments: given } of divided.calls) {
        if (typeof choice === 'object') expect(name).toBe(choice.name);
        if (name === 'now') expect(given).toEqual({});
        else {
          expect(typeof given['city']).toBe('string');
          if ('days' in given) expect(Number.isInteger(given['days'])).toBe(true);
          if ('sure' in given) expect(typeof given['sure']).toBe('boolean');
        }
      }
      read++;
    }
    expect(read).toBeGreaterThan(4);
  });
});

describe('an answer that may call', () => {
  const grammar = (thoughts: readonly [string, string] | undefined, choice: ToolChoice, opened = false) =>
    answerGrammar({ calls: hermes.grammar(TOOLS, marks), choice, thoughts, opened, answer: undefined, marks });
  const accepts = (which: ReturnType<typeof grammar>, text: string): boolean => {
    const constraint = constraints.constraint(which!);
    for (const byte of new TextEncoder().encode(text)) if (!constraint.accept(byte)) return false;
    return constraint.done || allows(constraint.mask(), end);
  };
  const call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>';

  test('is any text, with whole calls in it', () => {
    const auto = grammar(undefined, 'auto');
    for (const text of ['', 'Hello', `I see.\n${call}`, `${call}\n${call}`, 'a <tool_ b'])
      expect([text, accepts(auto, text)]).toEqual([text, true]);
    for (const text of ['<tool_call>', call.replace('get_weather', 'get'), call.replace('"Paris"', '1')])
      expect([text, accepts(auto, text)]).toEqual([text, false]);
  });

  test('must call, behind thoughts or at once', () => {
    const thinking = grammar(['<think>', '</think>'], 'required');
    for (const text of [call, `<think>Hm.\n</think>\n\n${call}`])
      expect([text, accepts(thinking, text)]).toEqual([text, true]);
    for (const text of ['', 'Hello', '<think>Hm.</think>', '<think>Hm.</think> Hello'])
      expect([text, accepts(thinking, text)]).toEqual([text, false]);
    const opened = grammar(['<think>', '</think>'], 'required', true);
    expect([accepts(opened, `Hm.</think>${call}`), accepts(opened, call)]).toEqual([true, false]);
  });

  test("Llama's calls begin as other JSON: only answers that must call are constrained", () => {
    const options = { thoughts: undefined, opened: false, answer: undefined, marks };
    expect(answerGrammar({ calls: llama.grammar(TOOLS, marks), choice: 'auto', ...options })).toBeUndefined();
  });

  test('special tokens of the model are tokens in it', () => {
    const ids = new Map([
      ['[CALL]', 7],
      ['<escape>', 8],
    ]);
    const own = marksOf({
      encode: (text: string) => Int32Array.from([...ids].flatMap(([name, id]) => (text.includes(name) ? [id] : []))),
      decode: ([id]: readonly number[], { special = false } = {}) =>
        special ? ([...ids].find(([, one]) => one === id)?.[0] ?? '') : '',
    } as unknown as Tokenizer);
    expect(own('[CALL]')).toEqual({ kind: 'token', token: '[CALL]' });
    expect(own('[CALL]thought\n')).toEqual({
      kind: 'sequence',
      parts: [
        { kind: 'token', token: '[CALL]' },
        { kind: 'text', text: 'thought\n' },
      ],
    });
    expect(own('<tool_call>')).toEqual({ kind: 'text', text: '<tool_call>' });
  });
});
