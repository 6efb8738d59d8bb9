/** Finds matches of a tokenizer's pattern in a string with the same automaton that cuts text in WASM; takes linear time except for hostile expressions. */
import { compileAutomaton } from './automaton.ts';
import type { Automaton } from './automaton.ts';
import type { JsonValue } from '../load/model-file.ts';
import { failTokenizer } from './failure.ts';
import { asString, isObject } from './json.ts';
import { escapePattern, parsePattern } from './pattern.ts';

/** As STEPS_PER_BYTE of assembly/tokenize/automaton.ts. */
const STEPS_PER_UNIT = 256;

/** `{"String": ...}` or `{"Regex": ...}` as an expression. */
export function patternSource(value: JsonValue | undefined): string {
  if (typeof value === 'string') return escapePattern(value);
  if (!isObject(value)) return failTokenizer('tokenizer.json: a pattern is neither String nor Regex');
  return typeof value['String'] === 'string' ? escapePattern(value['String']) : asString(value['Regex'], 'pattern');
}

/** Non-empty matches of `automaton` in `text`, leftmost first, as `[start, end)`. */
export function matches(automaton: Automaton, text: string): [number, number][] {
  const { blocks, classes, transitions, stride } = automaton;
  const found: [number, number][] = [];
  let fuel = 65536 + text.length * STEPS_PER_UNIT;
  for (let at = 0; at < text.length;) {
    let state = 1;
    let end = at;
    for (let position = at; state !== 0; fuel--) {
      const point = text.codePointAt(position);
      const kind = point === undefined ? stride - 1 : (classes[((blocks[point >> 7] ?? 0) << 7) + (point & 127)] ?? 0);
      const transition = transitions[state * stride + kind] ?? 0;
      if ((transition & 0x8000) !== 0) end = position;
      state = point === undefined ? 0 : transition & 0x7fff;
      position += point !== undefined && point > 0xffff ? 2 : 1;
    }
    if (fuel < 0)
      failTokenizer(
        'an expression of the tokenizer takes more than linear time on this text; it is stopped so that the page does not hang',
      );
    if (end > at) found.push([at, end]);
    at = end > at ? end : at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
  }
  return found;
}

/** A function that replaces every match of a pattern by `content`. */
export function replacer(pattern: JsonValue | undefined, content: string): (text: string) => string {
  if (isObject(pattern) && typeof pattern['String'] === 'string') {
    const search = pattern['String'];
    return search === '' ? (text) => text : (text) => text.replaceAll(search, () => content);
  }
  const automaton = compileAutomaton(parsePattern(patternSource(pattern)));
  return (text) => {
    let out = '';
    let done = 0;
    for (const [start, end] of matches(automaton, text)) {
      out += text.slice(done, start) + content;
      done = end;
    }
    return done === 0 ? text : out + text.slice(done);
  };
}
