/** Prompts that wait for the page to run tools, by numbers that cross the wire. */
import type { AnsweredCall, ToolResult } from '../chat/tools.ts';
import type { CallsEvent } from './api.ts';
import type { CallContext } from './responder.ts';

export class Rounds {
  readonly #waiting = new Map<number, (results: readonly ToolResult[]) => void>();
  #next = 1;

  ask(
    calls: readonly AnsweredCall[],
    context: Pick<CallContext<CallsEvent>, 'event' | 'signal'>,
  ): Promise<readonly ToolResult[]> {
    const { signal } = context;
    return new Promise((resolve, reject) => {
      const round = this.#next++;
      const abort = (): void => {
        this.#waiting.delete(round);
        reject(signal.reason as Error);
      };
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.set(round, (results) => {
        signal.removeEventListener('abort', abort);
        resolve(results);
      });
      context.event({ kind: 'calls', round, calls });
    });
  }

  /** Results of a prompt that was aborted meanwhile are dropped. */
  give(round: number, results: readonly ToolResult[]): void {
    this.#waiting.get(round)?.(results);
    this.#waiting.delete(round);
  }
}
