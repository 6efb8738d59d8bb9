/** Runs the page's own tools for a session's engine. Sessions whose tools are run by the app do not download it. */
import type { AnsweredCall, ToolResult, ToolSettings } from '../chat/tools.ts';
import { clipped } from '../errors.ts';

/** What a tool's function is given beside the arguments. */
export interface ToolContext {
  /** Aborted with the prompt. */
  readonly signal: AbortSignal;
  /** Identifies the call, as in the parts and messages about it. */
  readonly toolCallId: string;
}

/** A tool, with the function that runs it on the page. Without one, a prompt ends with the calls and the app gives their results itself. */
export interface Tool extends ToolSettings {
  /**
   * Called with the arguments of a call, at once for all calls of an answer. What it returns, or its promise resolves to, is told to the model: a string as it
   * is, anything else as JSON. An error that it throws ends the prompt.
   */
  execute?(input: Record<string, unknown>, context: ToolContext): unknown;
}

/** Runs the tools at once; the results are in the order of the calls. Rejects with the first error that a tool throws. */
export function runTools(
  calls: readonly AnsweredCall[],
  tools: readonly Tool[],
  signal: AbortSignal,
): Promise<readonly ToolResult[]> {
  return Promise.all(
    calls.map(async ({ id, name, arguments: input }) => {
      const tool = tools.find((one) => one.name === name);
      const given =
        tool?.execute === undefined
          ? `There is no tool named ${clipped(name)}; there are: ${tools.map((one) => one.name).join(', ')}.`
          : await tool.execute({ ...input }, { signal, toolCallId: id });
      return { id, name, content: typeof given === 'string' ? given : (JSON.stringify(given) ?? 'done') };
    }),
  );
}
