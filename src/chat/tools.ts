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
export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string };

/** What a call gave, as the model is told it. */
export interface ToolResult {
  readonly id: string;
  readonly name: string;
  readonly content: string;
}

/** A call as the model made it: `arguments` is what its JSON says. */
export interface AnsweredCall extends ToolCall {
  readonly id: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/**
 * A piece of an answer, in the order of the answer. A call begins with `tool-call-start`, goes on with pieces of its arguments' JSON, which together
 * are the whole of it, and ends with `tool-call`. `tool-result` tells what a tool of the page's own gave.
 */
export type AnswerPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'thinking'; readonly text: string }
  | { readonly type: 'tool-call-start'; readonly id: string; readonly name: string }
  | { readonly type: 'tool-call-delta'; readonly id: string; readonly delta: string }
  | ({ readonly type: 'tool-call' } & AnsweredCall)
  | ({ readonly type: 'tool-result' } & ToolResult);
