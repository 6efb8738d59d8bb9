// The command lines of `npm run eval` and `npm run bench`: options as `node:util` reads them, and a usage made from them.
import { parseArgs } from 'node:util';

/**
 * Reads `args`. Prints the usage and ends the process with 0 where `--help` asks for it, and with 2, after saying what is
 * wrong, where an option is not known or lacks its value. `usage`: the lines above the options.
 */
export function readCommandLine(args, options, usage, allowPositionals = false) {
  try {
    const read = parseArgs({ args, allowPositionals, options: { ...options, help: { type: 'boolean', short: 'h' } } });
    if (read.values.help !== true) return read;
  } catch (error) {
    if (!String(error.code).startsWith('ERR_PARSE_ARGS')) throw error;
    fail(error.message, options, usage);
  }
  console.log(describe(options, usage));
  return process.exit(0);
}

/** Says what is wrong and how the command is used, and ends the process with 2. */
export function fail(message, options, usage) {
  console.error(`${message}\n\n${describe(options, usage)}`);
  process.exit(2);
}

function describe(options, usage) {
  const lines = Object.entries(options).map(([name, { type, default: value }]) => {
    const given = type === 'boolean' ? `--${name}` : `--${name} <value>`;
    return `  ${given.padEnd(26)}${value === undefined || value === '' ? '' : `default ${value}`}`.trimEnd();
  });
  return [usage, '', 'options:', ...lines].join('\n');
}
