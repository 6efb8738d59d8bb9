import { openTextWasm } from '../engine/device.ts';
import { InputError } from '../errors.ts';
import { openModel } from '../load/index.ts';
import { createTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { Arguments } from './arguments.ts';
import type { Command } from './command.ts';
import { readAll, readLines, write, type CliContext } from './terminal.ts';

/** Converts text to ids and back, without loading weights. */
export const tokenize: Command = {
  usage: 'tokenize --model M [--no-special] [--bos] [--jsonl] [--detokenize] < text',
  summary: 'text to token ids, and back',
  details: `  --model M      a path, a URL, hf:owner/repo/file.gguf, nano or nano-text (bundled)
  --no-special   special tokens in the text are plain text
  --bos          with BOS and EOS where the model asks for them
  --jsonl        one JSON string a line in, one array of ids a line out
  --detokenize   the other way: arrays of ids in, text (with --jsonl: JSON strings) out
`,
  async run(argv, context) {
    const args = new Arguments(argv, { model: 's', 'no-special': 'b', bos: 'b', jsonl: 'b', detokenize: 'b' });
    args.atMost(0);
    const special = !args.flag('no-special');
    const bos = args.flag('bos');
    const tokenizer = await open(args.required('model'), context);
    const back = args.flag('detokenize');
    const forth = (text: string): string => JSON.stringify([...tokenizer.encode(text, { special, bos })]);
    const { input, output } = context;
    try {
      if (!args.flag('jsonl')) {
        const text = await readAll(input);
        return await write(output, back ? tokenizer.decode(readIds(text, 1), { special }) : `${forth(text)}\n`);
      }
      let number = 0;
      for await (const line of readLines(input)) {
        number++;
        const result = back
          ? JSON.stringify(tokenizer.decode(readIds(line, number), { special }))
          : forth(readString(line, number));
        await write(output, `${result}\n`);
      }
    } finally {
      tokenizer.free();
    }
  },
};

async function open(model: string, { place, platform }: CliContext): Promise<Tokenizer> {
  const file = await openModel(await place.input(model), platform.open);
  try {
    return await createTokenizer(await openTextWasm(platform), file.metadata);
  } finally {
    await file.close();
  }
}

function parse(line: string, number: number, what: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new InputError('argument', `line ${number} is not ${what}`, { line: number });
  }
}

function readString(line: string, number: number): string {
  const value = parse(line, number, 'a JSON string');
  if (typeof value !== 'string')
    throw new InputError('argument', `line ${number} is not a JSON string`, { line: number });
  return value;
}

function readIds(line: string, number: number): number[] {
  const value = parse(line, number, 'a JSON array of ids');
  if (!Array.isArray(value) || !value.every((id) => Number.isInteger(id) && (id as number) >= 0))
    throw new InputError('argument', `line ${number} is not a JSON array of ids`, { line: number });
  return value as number[];
}
