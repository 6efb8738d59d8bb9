/** Tools that a model may call, and how an answer that may call them is told piece by piece. Plain data: it crosses to the engine's worker. */
import type { ToolCall } from './messages.ts';

/** What the model is told of a tool. */
export interface ToolSettings {
  /** Letters, digits, `_`, `-` and `.`; at most 64 of them. */
  readonly name: string;
  /** When to call it and what it gives, in a sentence or two. */
  readonly description?: string | undefined;
  /** JSON Schema of the arguments: an object. Default: no arguments. */
  readonly inputSchema?: Readonly<Record<string, unknown>> | undefined;
}

/** Whether the model may call tools (`auto`, the default), may not (`none`; it still sees them), must (`required`), or must call the named one. */
export type ToolChoice =
  | 'auto'
  | 'none'
  | 'required'
  | {
      /** The tool that must be called. */
      readonly name: string;
    };

/** What a call gave, as the model is told it. */
export interface ToolResult {
  /** The call that it is the result of. */
  readonly id: string;
  /** The tool. */
  readonly name: string;
  /** A text; values other than texts as JSON. */
  readonly content: string;
}

/** A call as the model made it: `arguments` is what its JSON says. */
export interface AnsweredCall extends ToolCall {
  /** Identifies the call, so that its result names it. */
  readonly id: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/**
 * A piece of an answer, in the order of the answer. A call begins with `tool-call-start`, goes on with pieces of its arguments' JSON, which together
 * are the whole of it, and ends with `tool-call`. `tool-result` tells what a tool of the page's own gave.
 */
export type AnswerPart =
  | TextPart
  | ToolCallStart
  | ToolCallDelta
  | ({
      /** A whole call. */
      readonly type: 'tool-call';
    } & AnsweredCall)
  | ({
      /** What a tool of the page's own gave. */
      readonly type: 'tool-result';
    } & ToolResult);

/** A piece of the answer's text, or of what the model thinks before it answers. */
export interface TextPart {
  /** Which of the two it is. */
  readonly type: 'text' | 'thinking';
  /** The piece. */
  readonly text: string;
}

/** A call begins. */
export interface ToolCallStart {
  /** Tells the part from others. */
  readonly type: 'tool-call-start';
  /** Identifies the call in the parts that follow. */
  readonly id: string;
  /** The tool. */
  readonly name: string;
}

/** A call goes on. */
export interface ToolCallDelta {
  /** Tells the part from others. */
  readonly type: 'tool-call-delta';
  /** The call. */
  readonly id: string;
  /** A piece of the arguments' JSON. */
  readonly delta: string;
}
