/** Finds and runs the command, and turns errors into one line and an exit code: 0 success, 1 failure, 2 usage error. */
import { nearest } from '../face/problem.ts';
import { UsageError } from './arguments.ts';
import { ask } from './ask.ts';
import { chat } from './chat.ts';
import type { Command } from './command.ts';
import { doctor } from './doctor.ts';
import { edit } from './edit.ts';
import { embed } from './embed.ts';
import { generate } from './generate.ts';
import { inspect } from './inspect.ts';
import { models } from './models/command.ts';
import { pull } from './models/kept.ts';
import { paint } from './paint.ts';
import { rerank } from './rerank.ts';
import { see } from './see.ts';
import { serve } from './serve.ts';
import { visible, write, type CliContext } from './terminal.ts';
import { tokenize } from './tokenize.ts';

const COMMANDS: ReadonlyMap<string, Command> = new Map(
  Object.entries({
    see,
    paint,
    edit,
    ask,
    chat,
    generate,
    serve,
    embed,
    rerank,
    tokenize,
    models,
    pull,
    inspect,
    doctor,
  }),
);

const HELP = `octavo: compact models on this machine

${[...COMMANDS].map(([name, { summary }]) => `  octavo ${name.padEnd(10)}${summary}`).join('\n')}

  octavo COMMAND --help   what the command takes
  octavo --version        the version
  --verbose               errors with their stack
`;

function unknownCommand(name: string): string {
  const near = nearest(name, [...COMMANDS.keys()]);
  return `'${name}' is not a command; ${near === undefined ? '' : `did you mean '${near}'? `}octavo --help lists the commands`;
}

export async function run(args: readonly string[], context: CliContext): Promise<number> {
  const [name = '--help', ...rest] = args;
  const { output, errors, version } = context;
  const verbose = rest.includes('--verbose');
  if (name === '--help' || name === '-h' || name === 'help') {
    await write(output, HELP);
    return 0;
  }
  if (name === '--version' || name === '-v' || name === '-V') {
    await write(output, `${version}\n`);
    return 0;
  }
  const command = COMMANDS.get(name);
  try {
    if (command === undefined) throw new UsageError(unknownCommand(name));
    if (rest.includes('--help') || rest.includes('-h')) {
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
