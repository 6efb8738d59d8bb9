import { openModel } from '../load/index.ts';
import type { ModelFile, ModelMetadata } from '../load/model-file.ts';
import { STORED_FORMATS, storedBytes, type StoredFormat } from '../load/stored-format.ts';
import { languageModelConfig } from '../models/model.ts';
import { encoderOf } from '../models/registry.ts';
import { Arguments, UsageError } from './arguments.ts';
import type { Command } from './command.ts';
import { size, visible, write } from './terminal.ts';

/** Only the first elements of longer lists are shown. */
const SHOWN = 8;

/** Shows the contents of a model file. */
export const inspect: Command = {
  usage: 'inspect FILE [--json]',
  summary: 'what a model file holds',
  details: `  FILE     a path, a URL, hf:owner/repo/file.gguf, nano or nano-text (bundled)
  --json   everything, long lists by their beginnings
`,
  async run(argv, { place, platform, output }) {
    const args = new Arguments(argv, { json: 'b' });
    args.atMost(1);
    const [input] = args.rest;
    if (input === undefined) throw new UsageError('FILE is missing');
    const file = await openModel(await place.input(input), platform.open);
    try {
      const facts = await describe(file);
      await write(output, args.flag('json') ? `${visible(JSON.stringify(facts, null, 2))}\n` : visible(table(facts)));
    } finally {
      await file.close();
    }
  },
};

interface Facts {
  readonly name: string;
  readonly kind: string;
  readonly bytes: number;
  readonly fingerprint: string;
  readonly parameters: number;
  readonly config: Readonly<Record<string, unknown>> | { readonly problem: string };
  readonly formats: Readonly<Partial<Record<StoredFormat, { tensors: number; bytes: number }>>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly format: StoredFormat;
    readonly bytes: number;
  }[];
}

async function describe(file: ModelFile): Promise<Facts> {
  const formats: Partial<Record<StoredFormat, { tensors: number; bytes: number }>> = {};
  let parameters = 0;
  for (const info of file.tensors.values()) {
    const { shape, stored: format = info.format } = info;
    const bytes = storedBytes(shape, format);
    const sum = (formats[format] ??= { tensors: 0, bytes: 0 });
    sum.tensors++;
    sum.bytes += bytes;
    parameters += shape.reduce((product, count) => product * count, 1);
  }
  let config: Facts['config'];
  try {
    const encoder = (await encoderOf(file))?.spec.config;
    config = plain(encoder ?? (await languageModelConfig(file.metadata, file.tensors))) as Facts['config'];
  } catch (error) {
    config = { problem: error instanceof Error ? error.message : String(error) };
  }
  const tensors = [...file.tensors.values()].map(({ name, shape, format, stored = format }) => ({
    name,
    shape,
    format: stored,
    bytes: storedBytes(shape, stored),
  }));
  return {
    name: file.name,
    kind: file.metadata.kind,
    bytes: file.bytes,
    fingerprint: file.fingerprint,
    parameters,
    config,
    formats,
    metadata: metadata(file.metadata),
    tensors,
  };
}

function metadata(from: ModelMetadata): Record<string, unknown> {
  if (from.kind === 'gguf') return Object.fromEntries([...from.values].map(([key, value]) => [key, plain(value)]));
  return plain({
    config: from.config,
    generationConfig: from.generationConfig,
    tokenizerConfig: from.tokenizerConfig,
    chatTemplate: from.chatTemplate,
  }) as Record<string, unknown>;
}

/** Converts to JSON: bigints to numbers where exact, long lists to their beginnings and lengths. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    const list = Array.from(value as unknown as ArrayLike<unknown>, (_, index) => index)
      .slice(0, SHOWN)
      .map((index) => plain((value as unknown as ArrayLike<unknown>)[index]));
    const { length } = value as unknown as ArrayLike<unknown>;
    return length <= SHOWN ? list : { length, first: list };
  }
  if (value instanceof Map) return plain(Object.fromEntries(value));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, plain(entry)]));
  return value;
}

function line(value: unknown): string {
  const text = typeof value === 'string' ? value.replaceAll('\n', '\\n') : (JSON.stringify(value) ?? '');
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
}

function table(facts: Facts): string {
  const out = [
    `${facts.name}: ${facts.kind}, ${size(facts.bytes)}, ${(facts.parameters / 1e6).toFixed(2)} M parameters`,
    `fingerprint ${facts.fingerprint}`,
    '',
    'Configuration',
  ];
  for (const [key, value] of Object.entries(facts.config))
    if (value !== undefined) out.push(`  ${key.padEnd(18)}${line(value)}`);
  out.push('', 'Formats');
  for (const [format, sum] of Object.entries(facts.formats)) {
    const { block, bytes } = STORED_FORMATS[format as StoredFormat];
    out.push(
      `  ${format.padEnd(6)}${String(sum.tensors).padStart(5)} tensors ${size(sum.bytes).padStart(10)}   ${((bytes * 8) / block).toFixed(2)} bits a weight`,
    );
  }
  out.push('', 'Metadata');
  for (const [key, value] of Object.entries(facts.metadata)) out.push(`  ${key}: ${line(value)}`);
  out.push('', 'Tensors');
  for (const { name, shape, format, bytes } of facts.tensors)
    out.push(`  ${name.padEnd(36)} ${format.padEnd(5)} ${size(bytes).padStart(9)}  [${shape.join(', ')}]`);
  return `${out.join('\n')}\n`;
}
