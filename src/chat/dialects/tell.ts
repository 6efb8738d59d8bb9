/** What a session asks of the dialects: how its conversation is rendered, and how its answers are divided. */
import { InputError } from '../../errors.ts';
import type { Content } from '../../see/images.ts';
import type { ToolTelling } from '../adapt.ts';
import { opensThoughts } from '../conversation.ts';
import type { AnswerDivider } from '../divider.ts';
import type { Turn } from '../messages.ts';
import type { ToolChoice, ToolSettings } from '../tools.ts';
import { callIds, checkTools } from './check.ts';
import { DividedAnswer } from './divided.ts';
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
