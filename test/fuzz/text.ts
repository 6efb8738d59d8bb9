/** Tokenizers (tokenizer.json and GGUF metadata) and chat templates. */
import { renderChat } from '../../src/chat/template.ts';
import { parseJsonObject } from '../../src/load/json.ts';
import type { GgufValue, ModelMetadata } from '../../src/load/model-file.ts';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import { byteLetters } from '../support/byte-letters.ts';
import { random, type Random } from '../support/random.ts';
import { ggufValues, huggingFace, mixedText, smallByteLevel, tokenizerWasm } from '../support/tokenizers.ts';
import { mutateText } from './mutate.ts';
import { Wrong, type Fuzzer } from './run.ts';

const TOKENIZER_WORDS = [
  '"BPE"',
  '"Unigram"',
  '"WordPiece"',
  '"WordLevel"',
  'null',
  'true',
  '[]',
  '{}',
  '-1',
  '0',
  '1e308',
  '4294967296',
  '0.5',
  '"\\ud800"',
  '""',
  '{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}',
  '{"type":"Replace","pattern":{"String":"a"},"content":"aa"}',
  '{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Lowercase"}]}',
  '{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"}',
  '{"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Isolated","invert":false}',
  '{"id":0,"content":"<x>","special":true}',
  '"a b"',
  '["a","b"]',
  ',',
  ':',
  '"',
] as const;

export async function tokenizerFuzzer(): Promise<Fuzzer> {
  const wasm = await tokenizerWasm();
  const { tokens, merges, types } = smallByteLevel(random(5), 60);
  const letters = byteLetters();
  const json = JSON.stringify({
    version: '1.0',
    added_tokens: [
      { id: 256, content: '<s>', special: true, lstrip: false, rstrip: false, single_word: false, normalized: false },
    ],
    normalizer: {
      type: 'Sequence',
      normalizers: [{ type: 'NFC' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }],
    },
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      unk_token: null,
      byte_fallback: false,
      vocab: Object.fromEntries([...letters].map((letter, i) => [letter, i])),
      merges: ['a b', 'c d'],
    },
  });
  const values: Record<string, GgufValue> = {
    model: 'gpt2',
    pre: 'default',
    tokens,
    merges,
    token_type: Int32Array.from(types),
    bos_token_id: 0,
    eos_token_id: 1,
  };
  const strange = (r: Random): GgufValue =>
    r.pick<GgufValue>([
      -1,
      1e9,
      '',
      'llama',
      'bert',
      't5',
      true,
      [],
      ['a', 'a'],
      new Int32Array(3),
      Float32Array.of(NaN, Infinity),
      2n ** 60n,
      ['\ud800'],
    ]);
  const change = (value: GgufValue, r: Random): GgufValue => {
    if (!Array.isArray(value) || r.integer(0, 3) === 0) return strange(r);
    const list = [...(value as string[])];
    for (let n = r.integer(1, 4); n > 0; n--)
      list[r.integer(0, list.length + 2)] = r.pick([...list.slice(0, 5), '', 'a', 'a b', ' ', 'x'.repeat(300), 'é']);
    return Array.from(list, (text) => text ?? '');
  };
  const metadata = (r: Random): ModelMetadata => {
    if (r.integer(0, 2) === 0) {
      const text = mutateText(json, r, TOKENIZER_WORDS);
      return huggingFace(parseJsonObject(new TextEncoder().encode(text), 'tokenizer.json', 'JSON', 0));
    }
    const changed = { ...values };
    for (let n = r.integer(1, 3); n > 0; n--) {
      const key = r.pick(Object.keys(values));
      changed[key] = change(values[key]!, r);
    }
    return ggufValues(changed);
  };
  return {
    async run(r) {
      const tokenizer = await createTokenizer(wasm, metadata(r));
      try {
        for (const text of ['', 'aab <s> Grüße 😀', mixedText(r, 60)]) {
          const ids = tokenizer.encode(text, { special: true });
          for (const id of ids) if (!(id >= 0 && id < 2 ** 31)) throw new Wrong(`id ${id}`);
          if (typeof tokenizer.decode(ids, { special: true }) !== 'string') throw new Wrong('decoded to no text');
          const again = tokenizer.encode(text, { special: true });
          if (again.length !== ids.length || again.some((id, i) => id !== ids[i]))
            throw new Wrong('encoded twice, other ids');
        }
      } finally {
        tokenizer.free();
      }
      return 'a tokenizer';
    },
  };
}

const TEMPLATE_WORDS = [
  '{%',
  '%}',
  '{{',
  '}}',
  '{%-',
  '-%}',
  '{#',
  '#}',
  '{% if true %}',
  '{% else %}',
  '{% endif %}',
  '{% endfor %}',
  '{% for x in messages %}',
  '{% for a in range(3000) %}',
  '{{ range(1e12) }}',
  '{% set x = messages %}',
  '{% macro m(a) %}',
  '{% endmacro %}',
  '{{ m(1) }}',
  '| tojson',
  '| length',
  "| join('x')",
  '| upper',
  '| replace("a", "aa")',
  'namespace(a=1)',
  'messages[0]',
  '.content',
  '["role"]',
  'loop.index',
  'is defined',
  'not',
  'and',
  '~',
  '+',
  '*',
  '**',
  '%',
  '(',
  ')',
  '[',
  ']',
  "'",
  '"',
  '\\',
  ':',
  ',',
  '1',
  '-1',
  '1e999',
  'none',
  'raise_exception("no")',
  'strftime_now("%Y")',
] as const;
const TEMPLATES = [
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
  "{%- set ns = namespace(found=false) %}{%- for message in messages %}{%- if message['role'] == 'system' %}{%- set ns.found = true %}{%- endif %}{{- message.content | trim }}{%- endfor %}{{ ns.found }}",
  "{% macro show(m, deep=1) %}{{ m.role | upper }}: {{ m['content'][:5] }}{% endmacro %}{% for m in messages | reverse %}{{ show(m) }}{{ loop.index0 }}{% endfor %}",
] as const;

export async function templateFuzzer(): Promise<Fuzzer> {
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hello {{ x }} <|im_end|>' },
    { role: 'assistant', content: '' },
  ];
  const options = { addGenerationPrompt: true, bosToken: '<s>', eosToken: '</s>' };
  const right = TEMPLATES.map((template) => renderChat(template, messages, options));
  return {
    async run(r) {
      const index = r.integer(0, TEMPLATES.length);
      const text = renderChat(mutateText(TEMPLATES[index]!, r, TEMPLATE_WORDS), messages, options);
      if (typeof text !== 'string') throw new Wrong('rendered to no text');
      // A template that failed must leave nothing behind in those that follow.
      if (renderChat(TEMPLATES[index]!, messages, options) !== right[index])
        throw new Wrong('the sound template changed');
      return text === right[index] ? 'the same text' : 'another text';
    },
  };
}
