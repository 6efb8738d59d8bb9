import type { CliContext } from './terminal.ts';

/**
 * One command of `octavo`. Throws `UsageError` for a command line that it cannot parse, and otherwise the errors of its
 * work.
 */
export interface Command {
  readonly usage: string;
  readonly summary: string;
  readonly details: string;
  run(args: readonly string[], context: CliContext): Promise<void>;
}
