/**
 * The pretokenisers that GGUF's `tokenizer.ggml.pre` names, as expressions that cut the text one after the other
 * (isolated: matches and the text between them are pieces), and the other implications of the name in llama.cpp. The
 * expressions are those of the models' own tokenizer.json if it has one.
 */

import { digitGroupStage } from './digit-groups.ts';
import type { SplitStage } from './description.ts';
import { isolatedStages } from './vocabulary.ts';

const CONTRACTION = "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])";
const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** The family of cl100k: `digits` is how numbers are cut. */
function cl100k(
  digits: string,
  {
    contraction = `${CONTRACTION}|`,
    letters = String.raw`\p{L}`,
    others = String.raw`[^\s\p{L}\p{N}]+[\r\n]*`,
    breaks = String.raw`\s*[\r\n]+`,
    spaces = String.raw`\s+(?!\S)|\s+`,
  } = {},
): string {
  return String.raw`${contraction}[^\r\n\p{L}\p{N}]?${letters}+|${digits}| ?${others}|${breaks}|${spaces}`;
}

/** The family of o200k: words are upper case, then lower case; `tail` may follow a word. */
function o200k(digits: string, tail: string): string {
  const upper = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
  const lower = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
  const lead = String.raw`[^\r\n\p{L}\p{N}]?`;
  return String.raw`${lead}${upper}*${lower}+${tail}|${lead}${upper}+${lower}*${tail}|${digits}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
}

const LLAMA3 = cl100k(String.raw`\p{N}{1,3}`);
const QWEN2 = cl100k(String.raw`\p{N}`);
const LATIN_AFTER_MARK = String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${'`'}{|}~][A-Za-z]+`;
const DEEPSEEK_WORDS = String.raw`${LATIN_AFTER_MARK}|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const DEEPSEEK_V3 = [String.raw`\p{N}{1,3}`, '[一-龥぀-ゟ゠-ヿ]+', DEEPSEEK_WORDS];
/** Letters with case, as deepseek-llm lists them (Unicode 13): in hexadecimal, since some of them do not survive normalisation. */
const CASED = (
  '41-5A 61-7A B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376-377 37B-37D 37F 386 388-38A 38C 38E-3A1 3A3-3F5 3F7-481 ' +
  '48A-52F 531-556 10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA 1CBD-1CBF 1D00-1D2B 1D6B-1D77 1D79-1D9A 1E00-1F15 1F18-1F1D 1F20-1F45 ' +
  '1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE 1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 ' +
  '1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D 2124 2126 2128 212A-212D 212F-2134 2139 213C-213F 2145-2149 214E 2183-2184 2C00-2C7B ' +
  '2C7E-2CE4 2CEB-2CEE 2CF2-2CF3 A640-A66D A680-A69B A722-A76F A771-A787 A78B-A78E AB70-ABBF FB00-FB06 FB13-FB17 FF21-FF3A FF41-FF5A ' +
  '10400-1044F 104B0-104D3 104D8-104FB 10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943'
)
  .replace(/[0-9A-F]+/g, String.raw`\u{$&}`)
  .replaceAll(' ', '');
/** Scripts without spaces between words, by their blocks, as afmoe lists them. */
const ASIAN = String.raw`\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf\u0e00-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff`;
const EACH_DIGIT = [String.raw`\p{N}`, GPT2];
const BLOOM = String.raw` ?[^(\s|.,!?…。，、।۔،)]+`;
/** Punctuation and some symbols; the second with the backquote. */
const POINTED = String.raw`[\p{P}\$\+<=>\^~\|]+`;
const FALCON_POINTED = POINTED.replace(']', '`]');

/** kimi-k2: as o200k, with Chinese characters as separate pieces. */
function kimi(): string {
  const upper = String.raw`(?:(?!\p{Han})[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])`;
  const lower = String.raw`(?:(?!\p{Han})[\p{Ll}\p{Lm}\p{Lo}\p{M}])`;
  const lead = String.raw`[^\r\n\p{L}\p{N}]?`;
  const tail = `(?:${CONTRACTION})?`;
  return String.raw`\p{Han}+|${lead}${upper}*${lower}+${tail}|${lead}${upper}+${lower}*${tail}|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
}

interface NamedPretokenizer {
  readonly expressions: readonly string[];
  /** Digits are cut into groups of three from the right first (these cannot be cut by an automaton). */
  readonly digits?: 'all' | 'whole-words';
  readonly ignoreMerges?: boolean;
  readonly addBos?: boolean;
  /** Text is matched unchanged, with spaces written as U+2581, and unknown characters fall back to bytes. */
  readonly characters?: boolean;
}

const LLAMA3_ALL: NamedPretokenizer = { expressions: [LLAMA3], ignoreMerges: true, addBos: true };
const GROUPS: readonly (readonly [string, NamedPretokenizer])[] = [
  ['default', { expressions: [POINTED, GPT2, String.raw`\p{N}+`, '[0-9][0-9][0-9]'] }],
  ['llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano', LLAMA3_ALL],
  ['dbrx smaug-bpe glm4 chatglm-bpe', { expressions: [LLAMA3] }],
  ['qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2', { expressions: [QWEN2] }],
  [
    'qwen35',
    {
      expressions: [
        cl100k(String.raw`\p{N}`, {
          letters: String.raw`[\p{L}\p{M}]`,
          others: String.raw`[^\s\p{L}\p{M}\p{N}]+[\r\n]*`,
        }),
      ],
    },
  ],
  ['ufakzeka', { expressions: [cl100k(String.raw`\p{N}`, { contraction: '' })] }],
  ['laguna', { expressions: [String.raw`[^\n]+|[\n]+`, QWEN2] }],
  ['minicpm5', { expressions: [String.raw`\p{N}{1,3}`, cl100k(String.raw`\p{N}+`)], ignoreMerges: true }],
  ['seed-coder', { expressions: [cl100k(String.raw`\p{N}`, { others: String.raw`[^\s\p{L}\p{N}\r\n]+` })] }],
  ['bailingmoe bailingmoe2 llada-moe', { expressions: [cl100k(String.raw`\p{N}`, { breaks: String.raw`\s*[\r\n]` })] }],
  [
    'exaone-moe',
    {
      expressions: [
        cl100k(String.raw`\p{N}`, {
          letters: String.raw`(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)`,
          others: String.raw`[^\s\p{L}\p{N}]+[\r\n/]?`,
          breaks: String.raw`\s*[\r\n]`,
        }),
      ],
    },
  ],
  [
    'jais-2',
    {
      expressions: [
        cl100k(String.raw`\p{N}{1,3}`, {
          spaces: String.raw`\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}`,
        }),
      ],
    },
  ],
  [
    'gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jina-v1-en jina-v2-code roberta-bpe mpt olmo jais trillion granite-docling exaone4',
    { expressions: [GPT2] },
  ],
  ['starcoder refact command-r smollm codeshell exaone minerva-7b mellum2', { expressions: EACH_DIGIT }],
  ['falcon', { expressions: [FALCON_POINTED, GPT2, '[0-9][0-9][0-9]'] }],
  [
    'deepseek-llm',
    {
      expressions: [
        String.raw`[\r\n]`,
        String.raw`\s?[${CASED}]+`,
        String.raw`\s?[!-/:-~！-／：-～‘-‟　-。]+`,
        String.raw`\s+$`,
        '[一-龥ࠀ-一가-퟿]+',
        String.raw`\p{N}+`,
      ],
    },
  ],
  [
    'deepseek-coder',
    {
      expressions: [
        String.raw`[\r\n]`,
        String.raw`\s?\p{L}+`,
        String.raw`\s?\p{P}+`,
        '[一-龥ࠀ-一가-퟿]+',
        String.raw`\p{N}`,
      ],
    },
  ],
  ['deepseek-v3 hunyuan-dense joyai-llm hy_v4', { expressions: DEEPSEEK_V3 }],
  [
    'youtu',
    {
      expressions: [
        '[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+',
        o200k(String.raw`\p{N}`, `(?:${CONTRACTION})?`),
      ],
      ignoreMerges: true,
    },
  ],
  ['gpt-4o llama4 kanana2 talkie minimax-m2', { expressions: [o200k(String.raw`\p{N}{1,3}`, `(?:${CONTRACTION})?`)] }],
  [
    'granite-embed-multi-97m',
    { expressions: [o200k(String.raw`\p{N}{1,3}`, `(?:${CONTRACTION})?`)], ignoreMerges: true },
  ],
  ['tekken', { expressions: [o200k(String.raw`\p{N}`, '')], ignoreMerges: true, addBos: true }],
  ['bloom poro-chat gpt3-finnish', { expressions: [BLOOM] }],
  ['viking', { expressions: [BLOOM, String.raw`\p{N}`] }],
  ['kimi-k2', { expressions: [kimi()] }],
  [
    'spark2_5',
    {
      expressions: [
        String.raw`\p{N}{1,3}`,
        '[一-龥぀-ゟ゠-ヿ]+',
        String.raw`${LATIN_AFTER_MARK}|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+`,
        String.raw`\p{N}`,
      ],
    },
  ],
  [
    'tiny_aya cohere2moe',
    { digits: 'whole-words', expressions: [o200k(String.raw`\p{N}{1,3}`, `(?:${CONTRACTION})?`)] },
  ],
  ['superbpe', { digits: 'all', expressions: [] }],
  ['afmoe', { digits: 'all', expressions: [`[${ASIAN}]+`, DEEPSEEK_WORDS] }],
  [
    'chameleon',
    {
      expressions: [
        '<sentinel:[0-9]+>',
        '(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z',
        String.raw`([\t\n]|    |  )`,
        String.raw`\p{N}`,
        String.raw`[\p{P}!-/:-@\[-${'`'}{-~]`,
        GPT2,
      ],
      addBos: true,
    },
  ],
  ['gemma4 granite-embed-multi-311m sarvam-moe', { expressions: [String.raw`[^\n]+|[\n]+`], characters: true }],
];

const NAMES: ReadonlyMap<string, NamedPretokenizer> = new Map(
  GROUPS.flatMap(([names, pretokenizer]) => names.split(' ').map((name) => [name, pretokenizer] as const)),
);

export function namedPretokenizer(name: string): NamedPretokenizer | undefined {
  return NAMES.get(name);
}

export function namedStages({ expressions, digits }: NamedPretokenizer): SplitStage[] {
  return [...(digits === undefined ? [] : [digitGroupStage(digits === 'whole-words')]), ...isolatedStages(expressions)];
}

/** For messages. */
export function pretokenizerNames(): readonly string[] {
  return [...NAMES.keys()].sort();
}

export { GPT2 as GPT2_EXPRESSION };
