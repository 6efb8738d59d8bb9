/** Reads a tokenizer from GGUF metadata (`tokenizer.ggml.*`), with llama.cpp's defaults where the file is silent. */
import { ModelError } from '../errors.ts';
import type { GgufValue } from '../load/model-file.ts';
import { byteCharacter, byteLevelBytes } from './byte-level.ts';
import { compileAutomaton } from './automaton.ts';
import type { AddedToken, Entries, SplitStage, TokenDecoder, TokenModel, TokenizerDescription } from './description.ts';
import { parsePattern } from './pattern.ts';
import { namedPretokenizer, pretokenizerNames } from './pretokenizers.ts';
import type { TokenizerFacts } from './tokenizer.ts';

type Values = ReadonlyMap<string, GgufValue>;

/** The largest published vocabulary has 262,144 tokens; ids must fit the tables' 24 bits. */
export const MOST_TOKENS = 1 << 22;
/** The longest published token has 512 bytes. */
export const LONGEST_TOKEN = 4096;

// tokenizer.ggml.token_type
const TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** U+2581, which stands for a space in SentencePiece's vocabularies. */
const SPACE_MARK = '▁';

/** Tokens that end a turn in some model, whatever its metadata says. */
const ENDS = new Set([
  '<|eot_id|>', '<|im_end|>', '<|end|>', '<|return|>', '<|call|>', '<|flush|>', '<|calls|>', '<end_of_turn>', '<|endoftext|>', '</s>', '<|eom_id|>', '<EOT>', '_<EOT>',
  '[EOT]', '[EOS]', '<|end_of_text|>', '<end_of_utterance>', '<eos>', '<turn|>', '<|tool_response>', '<｜end▁of▁sentence｜>', '[e~[',
]);

function fail(problem: string, facts: Record<string, string | number> = {}): never {
  throw new ModelError('tokenizer', `tokenizer: ${problem}`, facts);
}

function integer(values: Values, key: string): number | undefined {
  const value = values.get(`tokenizer.ggml.${key}`);
  return typeof value === 'number' && Number.isInteger(value) ? value : typeof value === 'bigint' ? Number(value) : undefined;
}

function flag(values: Values, key: string): boolean | undefined {
  const value = values.get(`tokenizer.ggml.${key}`);
  return typeof value === 'boolean' ? value : undefined;
}

function text(values: Values, key: string): string | undefined {
  const value = values.get(key);
  return typeof value === 'string' ? value : undefined;
}

function strings(values: Values, key: string): readonly string[] | undefined {
  const value = values.get(`tokenizer.ggml.${key}`);
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) return fail(`tokenizer.ggml.${key} is no list of strings`, { key });
  const list: readonly unknown[] = value;
  if (!list.every((item) => typeof item === 'string')) return fail(`tokenizer.ggml.${key} is no list of strings`, { key });
  return list;
}

function numbers(values: Values, key: string, count: number): ArrayLike<number> | undefined {
  const value = values.get(`tokenizer.ggml.${key}`);
  if (value === undefined) return undefined;
  const list: unknown = value;
  if (!ArrayBuffer.isView(list) || list instanceof DataView) return fail(`tokenizer.ggml.${key} is no list of numbers`, { key });
  const typed = value as ArrayLike<number>;
  if (typed.length < count) return fail(`tokenizer.ggml.${key} has ${typed.length} entries for ${count} tokens`, { key, entries: typed.length });
  return typed;
}

/** Packs byte strings; `undefined` leaves an entry empty, which is never found. */
export function packEntries(parts: readonly (Uint8Array | undefined)[]): Entries {
  const offsets = new Uint32Array(parts.length + 1);
  let total = 0;
  parts.forEach((part, i) => {
    total += part?.length ?? 0;
    offsets[i + 1] = total;
  });
  const bytes = new Uint8Array(total);
  parts.forEach((part, i) => { if (part !== undefined) bytes.set(part, offsets[i]); });
  return { offsets, bytes };
}

/** The value of `<0xHH>`, or -1. */
export function byteTokenValue(token: string): number {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(token) ? Number.parseInt(token.slice(3, 5), 16) : -1;
}

export function describeGguf(values: Values): TokenizerDescription {
  const tokens = strings(values, 'tokens') ?? fail('tokenizer.ggml.tokens is missing; convert the model again with its tokenizer');
  if (tokens.length === 0 || tokens.length > MOST_TOKENS) fail(`a vocabulary of ${tokens.length} tokens; from 1 to ${MOST_TOKENS} are supported`, { tokens: tokens.length });
  const types = numbers(values, 'token_type', tokens.length);
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    if (token.length > LONGEST_TOKEN) fail(`token ${id} has ${token.length} characters, at most ${LONGEST_TOKEN} are supported`, { id, length: token.length });
    if (!ids.has(token)) ids.set(token, id);
  });
  const kind = text(values, 'tokenizer.ggml.model');
  switch (kind) {
    case 'gpt2': case 'gemma4': return describeBpe(values, tokens, types, ids, kind === 'gemma4' ? 'gemma4' : (text(values, 'tokenizer.ggml.pre') ?? 'default'));
    case 'llama': return describeSentencePiece(values, tokens, types, ids);
    default: return fail(`tokenizer.ggml.model is ${JSON.stringify(kind)}; supported are gpt2, llama, t5, bert and gemma4`, { model: String(kind) });
  }
}

interface Defaults { readonly bos?: number; readonly eos?: number; readonly unknown?: number; readonly padding?: number; readonly addBos: boolean; readonly addEos: boolean }

/** An id of the metadata, or its default where that is in the vocabulary. */
function specialId(values: Values, key: string, fallback: number | undefined, count: number): number | undefined {
  for (const id of [integer(values, key), fallback]) if (id !== undefined && id >= 0 && id < count) return id;
  return undefined;
}

function factsOf(values: Values, tokens: readonly string[], ids: ReadonlyMap<string, number>, defaults: Defaults): TokenizerFacts {
  const count = tokens.length;
  const ends = new Set<number>();
  const id = (key: string, fallback?: number): number | undefined => specialId(values, key, fallback, count);
  for (const end of [id('eos_token_id', defaults.eos), id('eot_token_id'), id('eom_token_id')]) if (end !== undefined) ends.add(end);
  for (const name of ENDS) {
    const end = ids.get(name);
    if (end !== undefined) ends.add(end);
  }
  // Harmony's <|end|> ends a message, not the turn; Gemma 4's </s> is an ordinary token.
  const drop = (name: string, ...others: string[]): void => {
    const end = ids.get(name);
    if (end !== undefined && others.every((other) => ids.has(other))) ends.delete(end);
  };
  drop('<|end|>', '<|return|>', '<|call|>');
  drop('<|end|>', '<|calls|>', '<|flush|>');
  drop('</s>', '<|tool_response>');
  const optional = {
    bos: id('bos_token_id', defaults.bos), unknown: id('unknown_token_id', defaults.unknown), padding: id('padding_token_id', defaults.padding),
    chatTemplate: text(values, 'tokenizer.chat_template'),
  };
  const addBos = (flag(values, 'add_bos_token') ?? defaults.addBos) && optional.bos !== undefined;
  const eos = id('eos_token_id', defaults.eos);
  const addEos = (flag(values, 'add_eos_token') ?? defaults.addEos) && eos !== undefined;
  // The first of `eos` is the one that is put behind a text.
  const list = eos === undefined ? [...ends] : [eos, ...[...ends].filter((end) => end !== eos)];
  return {
    vocabulary: count, eos: list, addBos, addEos,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
}

/** Control, user-defined and unknown tokens are found in the text as they stand. */
function addedTokens(tokens: readonly string[], types: ArrayLike<number> | undefined, values: Values): AddedToken[] {
  // Phi-3's special tokens swallow the white space after them; GGUF has no field for it.
  const phi3 = /phi-?3/i.test(text(values, 'general.name') ?? '');
  const masks = /^jina-v2-(?:de|es|code)$|^modern-bert$/.test(text(values, 'tokenizer.ggml.pre') ?? '') || /^(?:nomic-bert-moe|jina-bert-v3)$/.test(text(values, 'general.architecture') ?? '');
  const added: AddedToken[] = [];
  tokens.forEach((content, id) => {
    const ends = ENDS.has(content);
    const type = types?.[id] ?? TYPE.normal;
    const special = type === TYPE.control || type === TYPE.unknown || ends;
    if (!special && type !== TYPE.userDefined) return;
    added.push({
      id, content, special, singleWord: false, normalized: false,
      rstrip: phi3 && !/^(?:<unk>|<s>|<\|endoftext\|>)$/.test(content),
      lstrip: masks && (content === '<mask>' || content === '[MASK]'),
    });
  });
  return added;
}

/** Ids that print nothing by default: control and unknown tokens, and those of no known use. */
function hidden(types: ArrayLike<number> | undefined, added: readonly AddedToken[]): (id: number) => boolean {
  const special = new Set(added.filter((token) => token.special).map((token) => token.id));
  return (id) => special.has(id) || types?.[id] === TYPE.unused || types?.[id] === 0;
}

/** Stages that cut with these expressions one after the other, matches and what is between them alike. */
export function isolatedStages(expressions: readonly string[]): SplitStage[] {
  return expressions.map((expression) => ({ kind: 'pattern', automaton: compileAutomaton(parsePattern(expression)), behaviour: 'isolated', invert: false }));
}

const utf8 = new TextEncoder();

function describeBpe(values: Values, tokens: readonly string[], types: ArrayLike<number> | undefined, ids: ReadonlyMap<string, number>, pre: string): TokenizerDescription {
  const named = namedPretokenizer(pre);
  if (named === undefined) {
    return fail(`the pretokeniser ${JSON.stringify(pre)} (tokenizer.ggml.pre) is not known; known are ${pretokenizerNames().join(', ')}`, { pre });
  }
  const byteLevel = named.characters !== true;
  const facts = factsOf(values, tokens, ids, { bos: 11, eos: 11, addBos: named.addBos === true || pre === 'gemma4', addEos: false });
  const added = addedTokens(tokens, types, values);
  const isAdded = new Set(added.map((token) => token.id));
  const bytes = tokens.map((token, id) => {
    if (token === '' || (isAdded.has(id) && token.includes(' '))) return undefined;
    return byteLevel ? byteLevelBytes(token) : utf8.encode(token);
  });
  const byteIds = new Int32Array(256).fill(-1);
  for (let byte = 0; byte < 256; byte++) {
    const hex = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
    byteIds[byte] = ids.get(byteLevel ? byteCharacter(byte) : hex) ?? -1;
  }
  const merges = strings(values, 'merges') ?? fail('tokenizer.ggml.merges is missing; convert the model again with its tokenizer');
  const model: TokenModel = {
    kind: 'bpe', entries: packEntries(bytes), tokens: tokens.length, unknown: facts.unknown, byteLevel, byteIds, byteFallback: !byteLevel, fuseUnknown: false,
    ignoreMerges: named.ignoreMerges === true, merges: { kind: 'list', triples: mergeTriples(merges, ids), last: false },
  };
  const isSpecial = hidden(types, added);
  const decoder: TokenDecoder = {
    leadingSpaces: 0,
    isSpecial,
    bytes: (id) => {
      const token = tokens[id] ?? '';
      if (isAdded.has(id)) return utf8.encode(token);
      if (types?.[id] === TYPE.byte) return Uint8Array.of(Math.max(0, byteTokenValue(token)));
      return byteLevel ? (byteLevelBytes(token) ?? utf8.encode(token)) : utf8.encode(token.replaceAll(SPACE_MARK, ' '));
    },
  };
  return {
    facts, added, model, ids, decoder,
    ...(byteLevel ? {} : { normalize: (segment: string) => segment.replaceAll(' ', SPACE_MARK) }),
    stages: isolatedStages(named.expressions),
    before: facts.addBos && facts.bos !== undefined ? [facts.bos] : [],
    after: facts.addEos && facts.eos[0] !== undefined ? [facts.eos[0]] : [],
  };
}

/** "left right" lines as (left, right, result) ids. */
export function mergeTriples(merges: readonly (string | readonly [string, string])[], ids: ReadonlyMap<string, number>): Uint32Array {
  const triples = new Uint32Array(3 * merges.length);
  merges.forEach((merge, rank) => {
    const cut = typeof merge === 'string' ? merge.indexOf(' ', 1) : 0;
    const left = typeof merge === 'string' ? merge.slice(0, Math.max(0, cut)) : merge[0];
    const right = typeof merge === 'string' ? merge.slice(cut + 1) : merge[1];
    [left, right, left + right].forEach((token, i) => {
      const id = ids.get(token);
      if (id === undefined) fail(`merge ${rank} (${JSON.stringify(merge).slice(0, 100)}) names ${JSON.stringify(token.slice(0, 100))}, which is no token; the file is damaged`, { rank });
      else triples[3 * rank + i] = id;
    });
  });
  return triples;
}

/** Characters that occur in tokens without being tokens: SentencePiece merges them all the same. */
function looseCharacters(tokens: readonly string[], ids: ReadonlyMap<string, number>): string[] {
  const loose = new Set<string>();
  for (const token of tokens) for (const character of token) if (!ids.has(character)) loose.add(character);
  return [...loose];
}

/**
 * Cutting before every space mark that follows something else is exact when no token has one in such a place, and lets words be cached. */
export function wordStages(tokens: readonly (string | undefined)[]): SplitStage[] {
  const inner = /[^▁]▁/u;
  return tokens.some((token) => token !== undefined && inner.test(token)) ? [] : isolatedStages(['▁*[^▁]+|▁+']);
}

function describeSentencePiece(values: Values, tokens: readonly string[], types: ArrayLike<number> | undefined, ids: ReadonlyMap<string, number>): TokenizerDescription {
  const facts = factsOf(values, tokens, ids, { bos: 1, eos: 2, unknown: 0, addBos: true, addEos: false });
  const scores = numbers(values, 'scores', tokens.length) ?? fail('tokenizer.ggml.scores is missing; convert the model again with its tokenizer');
  const added = addedTokens(tokens, types, values);
  const isAdded = new Set(added.map((token) => token.id));
  const byteIds = new Int32Array(256).fill(-1);
  for (let byte = 0; byte < 256; byte++) {
    const hex = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
    byteIds[byte] = ids.get(hex) ?? (byte < 128 ? ids.get(String.fromCharCode(byte)) : undefined) ?? -1;
  }
  const loose = looseCharacters(tokens, ids);
  const spacePrefix = flag(values, 'add_space_prefix') ?? true;
  const isSpecial = hidden(types, added);
  return {
    facts, added, ids,
    model: {
      kind: 'bpe', entries: packEntries([...tokens, ...loose].map((token) => utf8.encode(token))), tokens: tokens.length, unknown: facts.unknown,
      byteLevel: false, byteIds, byteFallback: true, fuseUnknown: false, ignoreMerges: false, merges: { kind: 'ranks', ranks: ranksOf(scores, tokens.length) },
    },
    normalize: (segment, _first, afterToken) => ((spacePrefix && afterToken ? ' ' : '') + segment).replaceAll(' ', SPACE_MARK),
    stages: wordStages(tokens),
    before: facts.addBos && facts.bos !== undefined ? [facts.bos] : [],
    after: facts.addEos && facts.eos[0] !== undefined ? [facts.eos[0]] : [],
    decoder: {
      leadingSpaces: spacePrefix ? 1 : 0,
      isSpecial,
      bytes: (id) => {
        const token = tokens[id] ?? '';
        if (isAdded.has(id)) return utf8.encode(token);
        const byte = types?.[id] === TYPE.byte ? byteTokenValue(token) : -1;
        return byte >= 0 ? Uint8Array.of(byte) : utf8.encode(token.replaceAll(SPACE_MARK, ' '));
      },
    },
  };
}

/** Dense ranks: the best score is 0, equal scores are equal. */
function ranksOf(scores: ArrayLike<number>, count: number): Uint32Array {
  const values = Float64Array.from({ length: count }, (_, id) => {
    const score = scores[id] ?? 0;
    return Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score;
  });
  const order = Uint32Array.from(values.keys()).sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b);
  const ranks = new Uint32Array(count);
  let rank = 0;
  order.forEach((id, i) => {
    if (i > 0 && values[order[i - 1] ?? 0] !== values[id]) rank++;
    ranks[id] = rank;
  });
  return ranks;
}
