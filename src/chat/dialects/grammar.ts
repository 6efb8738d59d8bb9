/** Grammars of calls (`src/constrain/grammar.ts`): answers in which every call is one of a tool that there is, with arguments that fit its schema. */
import type { Grammar, Trigger } from '../../constrain/grammar.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import type { ToolChoice, ToolSettings } from '../tools.ts';
import type { CallGrammar, Marks } from './dialect.ts';

export const text = (exactly: string): Grammar => ({ kind: 'text', text: exactly });
export const sequence = (...parts: readonly Grammar[]): Grammar => ({ kind: 'sequence', parts });
export const choice = (parts: readonly Grammar[]): Grammar => ({ kind: 'choice', parts });
export const perhaps = (part: Grammar): Grammar => ({ kind: 'repeat', part, least: 0, most: 1 });
export const matching = (source: string): Grammar => ({ kind: 'regexp', source, flags: '' });
/** The JSON of a string, of the arguments of a tool, ... */
export const json = (schema: Readonly<Record<string, unknown>>): Grammar => ({ kind: 'json', schema });

/** Calls in one answer, beside the first. */
const MORE_CALLS = 15;
export const several = (first: Grammar, between: string, more = first): Grammar =>
  sequence(first, { kind: 'repeat', part: sequence(text(between), more), least: 0, most: MORE_CALLS });

export function argumentsOf({ inputSchema }: ToolSettings): Grammar {
  return json({ type: 'object', ...inputSchema });
}

/** The arguments of a tool one by one, those first that must be given. */
export function members({ inputSchema = {} }: ToolSettings): readonly {
  readonly key: string;
  readonly schema: Readonly<Record<string, unknown>>;
  readonly required: boolean;
}[] {
  const { properties, required, $defs, definitions } = inputSchema;
  const must = new Set(Array.isArray(required) ? required : []);
  const shared = { ...($defs === undefined ? {} : { $defs }), ...(definitions === undefined ? {} : { definitions }) };
  return Object.entries((properties ?? {}) as Readonly<Record<string, Readonly<Record<string, unknown>>>>)
    .map(([key, schema]) => ({ key, schema: { ...schema, ...shared }, required: must.has(key) }))
    .sort((a, b) => Number(b.required) - Number(a.required));
}

/** A list of arguments with `between` them; each optional one may be left out. */
export function listed(
  tool: ToolSettings,
  between: string,
  member: (key: string, schema: Readonly<Record<string, unknown>>) => Grammar,
): Grammar {
  const all = members(tool).map(({ key, schema, required }) => ({ required, written: member(key, schema) }));
  const after = (rest: typeof all): readonly Grammar[] =>
    rest.map(({ required, written }) => {
      const one = sequence(text(between), written);
      return required ? one : perhaps(one);
    });
  const [first] = all;
  if (first === undefined) return text('');
  if (first.required) return sequence(first.written, ...after(all.slice(1)));
  // Any of them may be the first that is given.
  return perhaps(choice(all.map(({ written }, index) => sequence(written, ...after(all.slice(index + 1))))));
}

/** A text in which special tokens of the model are tokens, as grammars want them. */
export function marksOf(tokenizer: Tokenizer): Marks {
  return (marked) => {
    const parts: Grammar[] = [];
    for (const id of tokenizer.encode(marked, { special: true })) {
      const shown = tokenizer.decode([id]);
      const name = tokenizer.decode([id], { special: true });
      if (shown === '' && name !== '') parts.push({ kind: 'token', token: name });
    }
    // Where nothing of it is special, it is the text.
    if (parts.length === 0) return text(marked);
    const out: Grammar[] = [];
    let rest = marked;
    for (const part of parts) {
      const name = part.kind === 'token' ? part.token : '';
      const at = rest.indexOf(name);
      if (at > 0) out.push(text(rest.slice(0, at)));
      out.push(part);
      rest = rest.slice(at + name.length);
    }
    if (rest !== '') out.push(text(rest));
    return out.length === 1 && out[0] !== undefined ? out[0] : sequence(...out);
  };
}

export interface AnswerGrammarOptions {
  readonly calls: CallGrammar;
  readonly choice: ToolChoice;
  readonly thoughts: readonly [open: string, close: string] | undefined;
  /** Whether the prompt opened the thoughts. */
  readonly opened: boolean;
  /** The grammar of an answer without calls; undefined if it may be any text. */
  readonly answer: Grammar | undefined;
  readonly marks: Marks;
}

/** What an answer may be; undefined where nothing is to be said about it. */
export function answerGrammar({
  calls,
  choice: chosen,
  thoughts,
  opened,
  answer,
  marks,
}: AnswerGrammarOptions): Grammar | undefined {
  const { begin, body, separator } = calls;
  const first = marks(begin);
  const call = begin === '' ? body : sequence(first, body);
  const all = separator === undefined ? call : several(call, separator);
  const made = typeof chosen === 'object' ? call : all;
  if (chosen === 'auto' && answer === undefined) {
    if (first.kind !== 'text' && first.kind !== 'token') return undefined;
    const trigger: Trigger = { begin: first, body };
    return calls.quiet === true ? undefined : { kind: 'free', triggers: [trigger] };
  }
  const said = chosen === 'auto' && answer !== undefined ? choice([answer, made]) : made;
  return thoughts === undefined ? said : afterThoughts(said, thoughts, opened, marks);
}

/** An answer that may begin with thoughts, and does where the prompt opened them. */
export function afterThoughts(
  said: Grammar,
  [open, close]: readonly [open: string, close: string],
  opened: boolean,
  marks: Marks,
): Grammar {
  const end = marks(close);
  const thought = sequence(
    // A mark of several tokens is one text for those who read it.
    { kind: 'until', end: end.kind === 'token' || end.kind === 'text' ? end : { kind: 'text', text: close } },
    matching('\\s{0,4}'),
    said,
  );
  return opened ? thought : choice([said, sequence(marks(open), thought)]);
}
