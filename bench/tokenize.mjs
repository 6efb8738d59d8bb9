// Tokenisation: megabytes a second on one thread, Octavo's WASM (Node's SIMD build) beside @huggingface/tokenizers, same text, same ids.
// Reads the Qwen2 vocabulary and English text from ../shared/data when they are there, else nano's vocabulary and generated text.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Tokenizer as HuggingFace } from '@huggingface/tokenizers';
import { build } from 'esbuild';
import { median, table } from './statistics.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const SHARED = here('../../shared/data/');

/** The sources' own tokenizer, bundled for Node. */
async function octavoTokenizer(bytes) {
  mkdirSync(here('./out'), { recursive: true });
  await build({
    entryPoints: [here('./entries/tokenizer.ts')],
    outfile: here('./out/tokenizer.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  });
  const { load } = await import(`${pathToFileURL(here('./out/tokenizer.mjs')).href}?${Date.now()}`);
  return load(bytes, readFileSync(here('../build/wasm/octavo.simd.wasm')));
}

/** Qwen2's tokenizer.json from its vocabulary and merges, for the peer. */
function qwenJson() {
  const folder = `${SHARED}tokenizers/qwen2.5/`;
  const vocab = JSON.parse(readFileSync(`${folder}vocab.json`, 'utf8'));
  const merges = readFileSync(`${folder}merges.txt`, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#version'));
  const pattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  return {
    version: '1.0',
    added_tokens: [],
    normalizer: { type: 'NFC' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges,
    },
  };
}

export async function run({ runs }) {
  const real = existsSync(`${SHARED}tokenizers/qwen2.5/vocab.json`);
  const vocabulary = real ? `${SHARED}tokenizers/gguf-vocab/ggml-vocab-qwen2.gguf` : here('../models/nano/nano.gguf');
  const text = real
    ? readFileSync(`${SHARED}documents/moby-dick.txt`, 'utf8')
    : readFileSync(here('../models/nano/demo.txt'), 'utf8').repeat(300);
  const megabytes = Buffer.byteLength(text) / 1e6;
  const ours = await octavoTokenizer(readFileSync(vocabulary));
  const peer = new HuggingFace(
    real ? qwenJson() : JSON.parse(readFileSync(here('../models/nano/tokenizer.json'), 'utf8')),
    { clean_up_tokenization_spaces: false },
  );
  const encodePeer = () => peer.encode(text, { add_special_tokens: false }).ids;
  const encodeOurs = () => ours.encode(text);
  const a = encodeOurs();
  const b = encodePeer();
  const equal = a.length === b.length && a.every((id, i) => id === b[i]);
  const ids = encodeOurs();
  const times = { ours: [], peer: [], decode: [] };
  const timed = (list, body) => {
    const start = performance.now();
    body();
    list.push((performance.now() - start) / 1000);
  };
  for (let turn = 0; turn < Number(runs) + 2; turn += 1) {
    timed(times.ours, encodeOurs);
    timed(times.peer, encodePeer);
    timed(times.decode, () => ours.decode(ids));
  }
  const rate = (list) => megabytes / median(list);
  const result = {
    vocabulary: real ? 'Qwen2' : 'nano',
    megabytes,
    tokens: ids.length,
    sameIds: equal,
    octavo: rate(times.ours),
    huggingface: rate(times.peer),
    octavoDecode: rate(times.decode),
  };
  console.log(
    table([
      ['tokenizer', 'MB/s', 'ratio'],
      ['@huggingface/tokenizers encode', result.huggingface.toFixed(2), '1.0'],
      ['octavo encode', result.octavo.toFixed(2), (result.octavo / result.huggingface).toFixed(1)],
      ['octavo decode', result.octavoDecode.toFixed(2), ''],
    ]),
  );
  console.log(
    `${result.vocabulary} vocabulary, ${megabytes.toFixed(2)} MB, ${ids.length} tokens, ids ${equal ? 'equal' : 'DIFFER'}`,
  );
  return result;
}
