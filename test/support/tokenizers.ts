/** Tokenizers for tests: real ones from ../shared/data where it is there, small self-made ones otherwise. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { GgufValue, JsonObject, ModelMetadata } from '../../src/load/model-file.ts';
import { BytesSource } from '../../src/load/byte-source.ts';
import { readGgufHeader } from '../../src/load/gguf/header.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { instantiate, type Wasm, type WasmBuild } from '../../src/wasm.ts';
import { byteLetters } from './byte-letters.ts';
import type { Random } from './random.ts';

const data = new URL('../../../shared/data/', import.meta.url);
let missing = 0;

/** The path of a real file, or undefined; how many were missed is printed when the tests end. */
export function sharedFile(path: string): string | undefined {
  const file = fileURLToPath(new URL(path, data));
  if (existsSync(file)) return file;
  missing++;
  return undefined;
}

export function reportMissing(): void {
  if (missing > 0) console.log(`skipped: ${missing} files of ../shared/data are not here`);
}

export async function tokenizerWasm(build: WasmBuild = 'simd'): Promise<Wasm> {
  return instantiate(
    build,
    await WebAssembly.compile(readFileSync(new URL(`../../build/wasm/octavo.${build}.wasm`, import.meta.url))),
  );
}

let shared: Promise<Wasm> | undefined;

/** A tokenizer on a WASM instance that all tests of a file share. */
export async function openTokenizer(metadata: ModelMetadata): Promise<Tokenizer> {
  shared ??= tokenizerWasm();
  return createTokenizer(await shared, metadata);
}

export async function ggufFile(path: string): Promise<ModelMetadata> {
  const { metadata } = await readGgufHeader(new BytesSource(path, readFileSync(path)));
  return { kind: 'gguf', values: metadata };
}

export function ggufValues(values: Readonly<Record<string, GgufValue>>): ModelMetadata {
  return {
    kind: 'gguf',
    values: new Map(
      Object.entries(values).map(([key, value]) => [key.includes('.') ? key : `tokenizer.ggml.${key}`, value]),
    ),
  };
}

export function huggingFace(
  tokenizer: unknown,
  rest: { config?: unknown; generationConfig?: unknown; tokenizerConfig?: unknown } = {},
): ModelMetadata {
  return {
    kind: 'huggingface',
    config: {},
    tokenizer: tokenizer as JsonObject,
    ...(rest as Record<string, JsonObject>),
  };
}

export function readJson(path: string): JsonObject {
  return JSON.parse(readFileSync(path, 'utf8')) as JsonObject;
}

/** Qwen2.5's tokenizer.json, put together from its vocab.json and merges.txt. */
export function qwenTokenizer(folder: string): JsonObject {
  const config = readJson(`${folder}/tokenizer_config.json`);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
  const words = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
  const merges = readFileSync(`${folder}/merges.txt`, 'utf8')
    .split('\n')
    .filter((line, i) => line !== '' && !(i === 0 && line.startsWith('#version')));
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: Object.entries(config['added_tokens_decoder'] as JsonObject).map(([id, token]) => ({
      id: Number(id),
      ...(token as JsonObject),
    })),
    normalizer: { type: 'NFC' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [{ type: 'Split', pattern: { Regex: words }, behavior: 'Isolated', invert: false }, byteLevel],
    },
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      vocab: readJson(`${folder}/vocab.json`),
      merges,
    },
  };
}

/** A byte-level vocabulary of all bytes and of `count` merges, learnt by chance; special tokens `<s>`, `</s>` and the user-defined `<<user>>` at its end. */
export function smallByteLevel(
  random: Random,
  count: number,
): { tokens: string[]; merges: string[]; types: Int32Array } {
  const tokens = byteLetters();
  const merges: string[] = [];
  const letters = ['a', 'b', 'e', 't', 'h', 'Ġ', 'Ã', '¤', '1', '.', "'", 's'];
  const parts = [...letters];
  while (merges.length < count) {
    const left = random.pick(parts);
    const right = random.pick(parts);
    if (left.length + right.length > 12 || tokens.includes(left + right)) continue;
    tokens.push(left + right);
    parts.push(left + right);
    merges.push(`${left} ${right}`);
  }
  tokens.push('<s>', '</s>', '<<user>>');
  const types = new Int32Array(tokens.length).fill(1);
  types.fill(3, tokens.length - 3, tokens.length - 1);
  types[tokens.length - 1] = 4;
  return { tokens, merges, types };
}

const RANGES: readonly (readonly [number, number])[] = [
  [0x20, 0x7e],
  [0, 0x20],
  [0x80, 0x17f],
  [0x300, 0x36f],
  [0x370, 0x52f],
  [0x590, 0x6ff],
  [0x900, 0x97f],
  [0xe00, 0xe7f],
  [0x1100, 0x11ff],
  [0x1680, 0x1680],
  [0x2000, 0x20cf],
  [0x2150, 0x218f],
  [0x3000, 0x30ff],
  [0x4e00, 0x4fff],
  [0xac00, 0xadff],
  [0xfb00, 0xfb06],
  [0xff00, 0xffef],
  [0x1d400, 0x1d4ff],
  [0x1f300, 0x1f6ff],
];
const WORDS = [
  "'s",
  "'T",
  "'ll",
  ' the',
  '  ',
  '\n',
  '\r\n',
  '\t',
  'ing',
  '123',
  '4567',
  '...',
  '--',
  'éa',
  '▁',
  '##',
  ',',
  '!?',
  "don't",
  "I'VE",
  'ΣΑΣ',
  'ﬁ',
  '½',
  'tahb',
  ' aba',
];

/** Words, letters and characters of many scripts in turn. `extra` are more words. */
export function mixedText(random: Random, length: number, extra: readonly string[] = []): string {
  let text = '';
  while (text.length < length) {
    const kind = random.uniform();
    if (kind < 0.35) text += random.pick(WORDS);
    else if (kind < 0.4 && extra.length > 0) text += random.pick(extra);
    else if (kind < 0.6)
      for (let n = random.integer(1, 7); n > 0; n--) text += String.fromCharCode(97 + random.integer(0, 26));
    else {
      const [low, high] = random.pick(RANGES);
      for (let n = random.integer(1, 5); n > 0; n--) text += String.fromCodePoint(random.integer(low, high + 1));
    }
  }
  return text;
}
