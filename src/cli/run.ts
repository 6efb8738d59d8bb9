/** Finds the command, runs it, and turns errors into one line and an exit code: 0 done, 1 failed, 2 not understood. */
import { UsageError } from './arguments.ts';
import { ask } from './ask.ts';
import { chat } from './chat.ts';
import type { Command } from './command.ts';
import { doctor } from './doctor.ts';
import { edit } from './edit.ts';
import { generate } from './generate.ts';
import { inspect } from './inspect.ts';
import { list, pull, rm } from './models.ts';
import { paint } from './paint.ts';
import { see } from './see.ts';
import { visible, write, type CliContext } from './terminal.ts';
import { tokenize } from './tokenize.ts';

const COMMANDS: ReadonlyMap<string, Command> = new Map(
  Object.entries({ see, paint, edit, ask, chat, generate, tokenize, pull, list, rm, inspect, doctor }),
);

const HELP = `octavo: compact models on this machine

${[...COMMANDS].map(([name, { summary }]) => `  octavo ${name.padEnd(10)}${summary}`).join('\n')}

  octavo COMMAND --help   what the command takes
  --verbose               errors with their stack
`;

export async function run(args: readonly string[], context: CliContext): Promise<number> {
  const [name = '--help', ...rest] = args;
  const { output, errors } = context;
  const verbose = rest.includes('--verbose');
  if (name === '--help' || name === '-h' || name === 'help') {
    await write(output, HELP);
    return 0;
  }
  const command = COMMANDS.get(name);
  try {
    if (command === undefined) throw new UsageError(`'${name}' is not a command; octavo --help lists them`);
    if (rest.includes('--help')) {
      await write(output, `Usage: octavo ${command.usage}\n\n${command.details}`);
      return 0;
    }
    await command.run(rest, context);
    return 0;
  } catch (error) {
    const text = error instanceof Error ? (verbose ? (error.stack ?? error.message) : error.message) : String(error);
    await write(errors, `octavo: ${visible(verbose ? text : text.replaceAll('\n', ' '))}\n`);
    if (!(error instanceof UsageError)) return 1;
    if (command !== undefined) await write(errors, `Usage: octavo ${command.usage}\n`);
    return 2;
  }
}
