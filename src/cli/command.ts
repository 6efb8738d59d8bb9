import type { CliContext } from './terminal.ts';

/** One of `octavo`'s commands. Throws `UsageError` for a command line that it cannot understand, and otherwise what its work throws. */
export interface Command {
  readonly usage: string;
  readonly summary: string;
  readonly details: string;
  run(args: readonly string[], context: CliContext): Promise<void>;
}
