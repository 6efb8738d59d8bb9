/** What the families of models differ in when they call tools: how calls begin in an answer, how they are read, and how they stand in a conversation. */
import type { Grammar } from '../../constrain/grammar.ts';
import type { Content } from '../../see/images.ts';
import type { ToolCall } from '../messages.ts';
import type { ToolSettings } from '../tools.ts';

/** A call as far as it was read. `json`: of its arguments; of what is not `whole` a beginning. */
export interface HeardCall {
  readonly name: string;
  readonly json: string;
  readonly whole: boolean;
}

/** Calls in a text, and where the text goes on behind them; undefined where more text may belong to them. */
export interface Heard {
  readonly calls: readonly HeardCall[];
  readonly end: number | undefined;
}

/** Reads calls from where they begin. `ended`: no more text comes. Throws `Malformed` where it is none, whatever follows. */
export type ReadCalls = (text: string, tools: readonly ToolSettings[], ended: boolean) => Heard;

/** What calls begin with. */
export interface Opening {
  readonly text: string;
  /** Reads what follows it. */
  readonly read: ReadCalls;
  /** Ordinary text may begin so, too: it is a call only at the beginning of an answer, and only of a tool that there is. */
  readonly guarded?: true;
}

/** A text whose special tokens are to be tokens. */
export type Marks = (text: string) => Grammar;

/** How calls are written, for answers that are constrained to it. */
export interface CallGrammar {
  /** What calls begin with, and what follows it. */
  readonly begin: string;
  readonly body: Grammar;
  /** Between two of them in one answer; undefined where the body has all calls. */
  readonly separator?: string | undefined;
  /** Ordinary text may contain what calls begin with: only answers that must call are constrained. */
  readonly quiet?: true;
}

/** In what is written, strings are the template's own and may be control tokens; `MessageText` never is. */
export interface Dialect {
  readonly name: string;
  /** Whether the conversation of a call, as a template rendered it, is in this dialect. */
  readonly known: (rendered: string) => boolean;
  readonly openings: readonly Opening[];
  /** What ends an answer behind calls. */
  readonly ends?: readonly string[];
  /** Calls in the text of an answer, for templates that write none. */
  readonly write: (calls: readonly ToolCall[]) => Content;
  /** A result in a message of the user, for templates that write none. */
  readonly result: (content: Content) => Content;
  readonly grammar: (tools: readonly ToolSettings[], marks: Marks) => CallGrammar;
  /** Tells the model of the tools, for templates that do not. */
  readonly describe: (tools: readonly ToolSettings[]) => Content;
}
