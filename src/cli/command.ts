import type { CliContext } from './terminal.ts';

/** One of `octavo`'s commands. It throws: `UsageError` for a command line that it cannot understand, what its work throws otherwise. */
export interface Command {
  readonly usage: string;
  readonly summary: string;
  readonly details: string;
  run(args: readonly string[], context: CliContext): Promise<void>;
}
