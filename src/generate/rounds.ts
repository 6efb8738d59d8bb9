/** Rounds of a prompt whose tools are run while it waits: calls, results, the next answer, until an answer calls nothing. Fetched with the first such call. */
import type { Grammar } from '../constrain/grammar.ts';
import type { AnsweredCall, ToolResult, ToolSettings } from '../chat/tools.ts';
import type { Answer, AnswerListener } from './answer.ts';
import { ratesOf, type PromptSettings } from './options.ts';

/** Tools that somebody runs for the session. */
export interface PageTools {
  readonly names: ReadonlySet<string>;
  /** The results are in the order of the calls. */
  run(calls: readonly AnsweredCall[]): Promise<readonly ToolResult[]>;
}

/** An answer that is not part of the conversation yet. `turns` are to be added: what was asked, and the answer. */
export interface Exchange<Conversation, Turn> {
  readonly answer: Answer;
  readonly conversation: Conversation;
  readonly turns: readonly Turn[];
}

interface RoundOptions<Turn> {
  readonly listener: AnswerListener;
  readonly tools: PageTools;
  /** What the model was told of. */
  readonly told: readonly ToolSettings[];
  /** A result as a turn of the conversation. */
  readonly turnOf: (result: ToolResult) => Turn;
  /** What the answer has to be. */
  readonly grammar?: Grammar | undefined;
  /** Rounds of tools at most; then the calls that are left end the prompt. */
  readonly most: number;
}

type Ask<Conversation, Turn> = (
  so: Pick<Exchange<Conversation, Turn>, 'conversation' | 'turns'>,
  heard: Pick<AnswerListener, 'onText'>,
  settings: Pick<PromptSettings, 'toolChoice' | 'grammar'>,
) => Promise<Exchange<Conversation, Turn>>;

/** An answer in words: it begins like no call. */
const WORDS: Grammar = { kind: 'regexp', source: '[^\\s{<[`][^]*', flags: '' };

/** Between the texts of two rounds. */
const BETWEEN = '\n\n';

/** Goes on from an answer that calls tools; ends, too, where it calls one that the app is to run. Rejects where a tool fails, and on an abort. */
export async function runRounds<Conversation, Turn>(
  first: Exchange<Conversation, Turn>,
  { listener, tools, told, turnOf, grammar, most }: RoundOptions<Turn>,
  ask: Ask<Conversation, Turn>,
): Promise<Exchange<Conversation, Turn>> {
  const answers = [first.answer];
  // A call of a tool that does not exist is answered so.
  const runs = ({ name }: AnsweredCall): boolean => tools.names.has(name) || told.every((tool) => tool.name !== name);
  let last = first;
  let before = '';
  let asked = first;
  while (answers.length <= most && last.answer.finishReason === 'tool-calls') {
    const { toolCalls: calls = [] } = last.answer;
    if (!calls.every(runs)) break;
    const results = await tools.run(calls);
    for (const result of results) await listener.onPart?.({ type: 'tool-result', ...result });
    // Small models call again what they know: without tools in sight they answer.
    const known = calls.map((call, i) => JSON.stringify([call.name, call.arguments, results[i]?.content]));
    const round = [...new Set(known)].sort().join();
    const again = round === before;
    before = round;
    if (!again) asked = { ...last, turns: [...last.turns, ...results.map(turnOf)] };
    const heard = spaced(answers, listener);
    last = await ask(asked, heard, again ? { toolChoice: 'none', grammar: grammar ?? WORDS } : {});
    answers.push(last.answer);
  }
  return { ...last, answer: summed(answers, last.answer) };
}

/** Puts what stands between two rounds' texts before the first text of a later one. */
function spaced(before: readonly Answer[], { onText }: AnswerListener): Pick<AnswerListener, 'onText'> {
  let waiting = before.some(({ text }) => text !== '');
  return {
    onText: (text) => {
      const more = waiting ? BETWEEN + text : text;
      waiting = false;
      return onText?.(more);
    },
  };
}

/** All rounds as one answer. */
function summed(answers: readonly Answer[], last: Answer): Answer {
  const sum = (of: (answer: Answer) => number): number => answers.reduce((total, answer) => total + of(answer), 0);
  const all = (of: (answer: Answer) => string | undefined): string =>
    answers.flatMap((answer) => of(answer) || []).join(BETWEEN);
  const thinking = all((answer) => answer.thinking);
  const tokens = { ...last.tokens, generated: sum((answer) => answer.tokens.generated) };
  const time = { prefill: sum((answer) => answer.time.prefill), decode: sum((answer) => answer.time.decode) };
  // Prompts of all rounds were read in that time.
  const read = { prompt: sum((answer) => answer.tokens.prompt), cached: sum((answer) => answer.tokens.cached) };
  const rate = ratesOf({ answers: answers.length, tokens: { ...tokens, ...read }, time });
  return { ...last, text: all(({ text }) => text), ...(thinking === '' ? {} : { thinking }), tokens, time, rate };
}
