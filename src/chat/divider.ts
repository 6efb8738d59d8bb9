/** Divides an answer while it is drawn; `src/chat/dialects/divided.ts` does. */
import type { AnsweredCall, AnswerPart } from './tools.ts';

/** `control`: the name of a control token, which is no text. */
export type DividedPart =
  | Exclude<AnswerPart, { type: 'tool-result' }>
  | { readonly type: 'control'; readonly text: string };

export interface AnswerDivider {
  /** Takes what was drawn, in order; `control` says that it is the name of a control token. */
  push(text: string, control: boolean): readonly DividedPart[];
  /** What was held back. */
  end(): readonly DividedPart[];
  /** Whether nothing of the answer is wanted any more. */
  readonly done: boolean;
  /** Of the answer so far. */
  readonly thinking: string;
  readonly calls: readonly AnsweredCall[];
}
