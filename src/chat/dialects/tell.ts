/** What a session asks of the dialects: how its conversation is rendered, and how its answers are divided. */
import type { Constraint } from '../../constrain/constraint.ts';
import type { Grammar } from '../../constrain/grammar.ts';
import { InputError } from '../../errors.ts';
import type { Content } from '../../see/images.ts';
import type { ToolTelling } from '../adapt.ts';
import { opensThoughts } from '../conversation.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import type { AnswerDivider } from '../divider.ts';
import type { Turn } from '../messages.ts';
import type { ToolChoice, ToolSettings } from '../tools.ts';
import { callIds, checkTools } from './check.ts';
import { DividedAnswer } from './divided.ts';
import { afterThoughts, answerGrammar, marksOf } from './grammar.ts';
import { speechOf } from './speech.ts';

/** Throws `InputError('argument')` for tools that cannot be shown, and where there is no template to show them. */
export function tell(
  template: string | undefined,
  tools: readonly ToolSettings[] = [],
  choice: ToolChoice = 'auto',
): ToolTelling {
  checkTools(tools, choice);
  if (template === undefined && tools.length > 0)
    throw new InputError(
      'argument',
      'tools: this model has no chat template, so it cannot be told of tools; load a model that was trained for chats',
    );
  // Small models call what they see, whatever they are told.
  return { speech: speechOf(template ?? ''), tools: choice === 'none' ? [] : tools };
}

/** `turns`: of the conversation; `content`: the prompt; `begun`: whether the caller has begun the answer. */
export function divide(
  telling: ToolTelling | undefined,
  thoughts: readonly [open: string, close: string] | undefined,
  { turns, content, begun }: { readonly turns: readonly Turn[]; readonly content: Content; readonly begun: boolean },
): AnswerDivider {
  const { speech, tools = [] } = telling ?? {};
  const opened = thoughts !== undefined && opensThoughts(content, thoughts);
  return new DividedAnswer({
    dialect: tools.length === 0 ? undefined : speech?.dialect,
    tools,
    thoughts,
    within: opened ? 'thoughts' : begun ? 'text' : undefined,
    id: callIds(turns),
  });
}

/** What is needed to constrain answers. */
export interface Constraining {
  readonly tokenizer: Tokenizer;
  constrain(grammar: Grammar): Promise<{ readonly constraint: Constraint }>;
}

/** The constraint of an answer without tools of a model that thinks: only what follows its thoughts is limited. */
export async function limitAfterThoughts(
  model: Constraining,
  answer: Grammar,
  thoughts: readonly [open: string, close: string],
  content: Content,
): Promise<Constraint> {
  const grammar = afterThoughts(answer, thoughts, opensThoughts(content, thoughts), marksOf(model.tokenizer));
  return (await model.constrain(grammar)).constraint;
}

/** The constraint of an answer that may call tools, or must; undefined where there is none. `answer`: what it has to be where it calls nothing. */
export async function limit(
  model: Constraining,
  { speech, tools }: ToolTelling,
  {
    choice,
    thoughts,
    content,
    answer,
  }: {
    readonly choice: ToolChoice | undefined;
    readonly thoughts: readonly [open: string, close: string] | undefined;
    readonly content: Content;
    readonly answer: Grammar | undefined;
  },
): Promise<Constraint | undefined> {
  const marks = marksOf(model.tokenizer);
  const named = typeof choice === 'object' ? tools.filter(({ name }) => name === choice.name) : tools;
  const made = async (shown: readonly ToolSettings[]): Promise<Constraint | undefined> => {
    const grammar = answerGrammar({
      calls: speech.dialect.grammar(shown, marks),
      choice: choice ?? 'auto',
      thoughts,
      opened: thoughts !== undefined && opensThoughts(content, thoughts),
      answer,
      marks,
    });
    return grammar && (await model.constrain(grammar)).constraint;
  };
  try {
    return await made(named);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
  }
  // A schema says what cannot be kept to exactly: of that tool the arguments' names are all that is kept to.
  return made(await Promise.all(named.map((tool) => loosened(model, tool))));
}

async function loosened(model: Constraining, tool: ToolSettings): Promise<ToolSettings> {
  const { inputSchema = {} } = tool;
  try {
    await model.constrain({ kind: 'json', schema: { type: 'object', ...inputSchema } });
    return tool;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
  }
  const names = Object.keys(inputSchema['properties'] ?? {});
  const { required } = inputSchema;
  const properties = Object.fromEntries(names.map((name) => [name, {}]));
  return { ...tool, inputSchema: { type: 'object', properties, ...(Array.isArray(required) && { required }) } };
}
