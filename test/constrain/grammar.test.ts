/** Grammars token by token: for every cut of a text into tokens, what may be written is in the mask, and nothing else is. */
import { describe, expect, test } from '@jest/globals';
import type { Grammar } from '../../src/constrain/grammar.ts';
import { afterThoughts } from '../../src/chat/dialects/grammar.ts';
import { Constraints } from '../../src/constrain/index.ts';
import { random } from '../support/random.ts';
import { allows, CALL, Cutter, toyTokenizer } from './toy.ts';

const tokenizer = toyTokenizer();
const constraints = new Constraints(tokenizer, tokenizer.facts.vocabulary);
const cutter = new Cutter(tokenizer);
const end = tokenizer.facts.eos[0]!;

/** Whether the text fits, in several cuts; mask and accept must agree at every step. */
function fits(grammar: Grammar, text: string): boolean {
  const found = Array.from({ length: 6 }, (_, seed) => {
    const constraint = constraints.constraint(grammar);
    for (const id of cutter.cut(text, random(seed))) {
      const allowed = allows(constraint.mask(), id);
      expect(constraint.accept(id)).toBe(allowed);
      if (!allowed) return false;
    }
    const ends = allows(constraint.mask(), end);
    if (constraint.done) expect(ends).toBe(true);
    return ends;
  });
  expect(new Set(found).size).toBe(1);
  return found[0]!;
}

const call: Grammar = {
  kind: 'sequence',
  parts: [
    {
      kind: 'json',
      schema: { type: 'object', properties: { x: { type: 'integer' } }, required: ['x'], additionalProperties: false },
    },
    { kind: 'text', text: '</tool_call>' },
  ],
};
const called: Grammar = { kind: 'free', triggers: [{ begin: { kind: 'text', text: '<tool_call>' }, body: call }] };

describe('free text with triggers', () => {
  test.each([
    ['', true],
    ['hello 🙂', true],
    ['a <tool and <tool_cal', true],
    ['<<tool_call>{"x": 3}</tool_call> more', true],
    ['<tool_call>{"x":3}</tool_call><tool_call>{"x":4}</tool_call>', true],
    ['<tool_call>{"x":3}', false],
    ['<tool_call>', false],
    ['<tool_call>hello', false],
    ['</tool_call>', true],
  ])('%j: %j', (text, expected) => {
    expect(fits(called, text)).toBe(expected);
  });

  test('special tokens are free, and may be triggers', () => {
    const id = tokenizer.idOf(CALL)!;
    const free = constraints.constraint(called);
    expect(allows(free.mask(), id)).toBe(true);
    expect(free.accept(id)).toBe(true);
    const triggered = constraints.constraint({
      kind: 'free',
      triggers: [{ begin: { kind: 'token', token: CALL }, body: call }],
    });
    for (const token of cutter.cut('hello')) expect(triggered.accept(token)).toBe(true);
    expect(triggered.accept(id)).toBe(true);
    expect(allows(triggered.mask(), end)).toBe(false);
    expect(allows(triggered.mask(), tokenizer.idOf(CALL)!)).toBe(false);
    for (const token of cutter.cut('{"x":3}</tool_call>')) expect(triggered.accept(token)).toBe(true);
    expect(allows(triggered.mask(), end)).toBe(true);
    expect(() => constraints.constraint({ kind: 'token', token: '[NONE]' })).toThrow('no special token');
    const texts = constraints.constraint({ kind: 'text', text: 'abc' });
    expect(allows(texts.mask(), id)).toBe(false);
    expect(allows(texts.mask(), end)).toBe(false);
  });
});

test.each([
  ['<think>a < b </thin </think>\n\n{"x":3}</tool_call>', true],
  ['{"x":3}</tool_call>', true],
  ['<think></think>{"x":3}</tool_call>', true],
  ['<think>{"x":3}</tool_call>', false],
  ['<think>a</think>b</think>{"x":3}</tool_call>', false],
])('an answer after thoughts: %j: %j', (written, expected) => {
  const marks = (text: string): Grammar => ({ kind: 'text', text });
  expect(fits(afterThoughts(call, ['<think>', '</think>'], false, marks), written)).toBe(expected);
  if (written.startsWith('<think>'))
    expect(fits(afterThoughts(call, ['<think>', '</think>'], true, marks), written.slice(7))).toBe(expected);
});

describe('combinations', () => {
  const choice: Grammar = {
    kind: 'choice',
    parts: ['foo', 'bar'].map((name) => ({
      kind: 'sequence',
      parts: [
        { kind: 'text', text: `{"name": "${name}", "arguments": ` },
        {
          kind: 'json',
          schema: {
            type: 'object',
            properties: { [name]: { type: 'boolean' } },
            required: [name],
            additionalProperties: false,
          },
        },
        { kind: 'text', text: '}' },
      ],
    })),
  };
  test.each([
    ['{"name": "foo", "arguments": {"foo":true}}', true],
    ['{"name": "bar", "arguments": {"bar": false}}', true],
    ['{"name": "foo", "arguments": {"bar":true}}', false],
    ['{"name": "x", "arguments": {}}', false],
  ])('a choice of framed schemas: %j: %j', (text, expected) => {
    expect(fits(choice, text)).toBe(expected);
  });
  test.each([
    ['', false],
    ['ab', true],
    ['abab', true],
    ['ababab', true],
    ['abababab', false],
    ['aba', false],
  ])('a repetition: %j: %j', (text, expected) => {
    expect(fits({ kind: 'repeat', part: { kind: 'text', text: 'ab' }, least: 1, most: 3 }, text)).toBe(expected);
  });
  test('repetitions without a bound, of what may be empty, end', () => {
    const inner: Grammar = { kind: 'repeat', part: { kind: 'text', text: 'a' }, least: 0 };
    const outer: Grammar = { kind: 'repeat', part: inner, least: 2 };
    expect(fits(outer, '')).toBe(true);
    expect(fits(outer, 'aaaa')).toBe(true);
    expect(fits(outer, 'aab')).toBe(false);
  });
});
