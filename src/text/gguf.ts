/** Reads a tokenizer from GGUF metadata (`tokenizer.ggml.*`), with llama.cpp's defaults for missing values. */
import { byteLevelBytes } from './byte-level.ts';
import type { AddedToken, TokenDecoder, TokenModel, TokenizerDescription } from './description.ts';
import { failTokenizer } from './failure.ts';
import { flag, integer, numbers, strings, text } from './gguf-metadata.ts';
import type { GgufValues } from './gguf-metadata.ts';
import { SPACE_MARK } from './normalizers.ts';
import { namedPretokenizer, namedStages, pretokenizerNames } from './pretokenizers.ts';
import { TokenTable } from './token-table.ts';
import type { TokenizerFacts } from './tokenizer.ts';
import { ENDS, turnEnds } from './turn-ends.ts';
import {
  byteTokenValue,
  byteTokens,
  checkTokens,
  looseCharacters,
  mergeList,
  packEntries,
  ranksOf,
  wordStages,
} from './vocabulary.ts';

// tokenizer.ggml.token_type
export const TYPE = { undefined: 0, normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** The common part of all kinds of vocabularies. */
export interface Source {
  readonly values: GgufValues;
  readonly tokens: readonly string[];
  readonly types: ArrayLike<number> | undefined;
  readonly ids: ReadonlyMap<string, number>;
  /** The compact form of `tokens` and `ids` that outlives the description. */
  readonly table: TokenTable;
}

interface Defaults {
  readonly bos?: number;
  readonly eos?: number;
  readonly unknown?: number;
  readonly padding?: number;
  readonly addBos: boolean;
  readonly addEos: boolean;
}

export async function describeGguf(values: GgufValues): Promise<TokenizerDescription> {
  const listed =
    strings(values, 'tokens') ??
    failTokenizer('tokenizer.ggml.tokens is missing; convert the model again with its tokenizer');
  checkTokens(listed);
  const tokens = listed.map((token, id) => (token === '' ? `[EMPTY_${id}]` : token));
  const types = numbers(values, 'token_type', tokens.length);
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    ids.set(token, id);
  });
  if (ids.size < tokens.length) {
    const id = tokens.findIndex((token, i) => ids.get(token) !== i);
    failTokenizer(
      `the token ${JSON.stringify(tokens[id])} has two ids, ${id} and ${ids.get(tokens[id] ?? '')}; the file is damaged`,
      { id },
    );
  }
  const source: Source = { values, tokens, types, ids, table: new TokenTable(tokens) };
  const kind = text(values, 'tokenizer.ggml.model');
  switch (kind) {
    case 'gpt2':
      return describeBpe(source, text(values, 'tokenizer.ggml.pre') ?? 'default');
    case 'gemma4':
      return describeBpe(source, 'gemma4');
    case 'llama':
      return describeSentencePiece(source);
    // Pages that load decoders do not download these.
    case 't5':
      return (await import('./gguf-encoders.ts')).describeUnigram(source);
    case 'bert':
      return (await import('./gguf-encoders.ts')).describeWordPiece(source);
    default:
      return failTokenizer(
        `tokenizer.ggml.model is ${JSON.stringify(kind)}; supported are gpt2, llama, t5, bert and gemma4`,
        { model: String(kind) },
      );
  }
}

export function factsOf({ values, tokens, ids }: Source, defaults: Defaults): TokenizerFacts {
  const id = (key: string, fallback?: number): number | undefined =>
    [integer(values, key), fallback].find((n) => n !== undefined && n >= 0 && n < tokens.length);
  const ends = [id('eos_token_id', defaults.eos), id('eot_token_id'), id('eom_token_id')].filter(
    (end) => end !== undefined,
  );
  const eos = turnEnds(ends, ids);
  const optional = {
    bos: id('bos_token_id', defaults.bos),
    unknown: id('unknown_token_id', defaults.unknown),
    padding: id('padding_token_id', defaults.padding),
    chatTemplate: text(values, 'tokenizer.chat_template'),
  };
  return {
    vocabulary: tokens.length,
    eos,
    addBos: (flag(values, 'add_bos_token') ?? defaults.addBos) && optional.bos !== undefined,
    addEos: (flag(values, 'add_eos_token') ?? defaults.addEos) && id('eos_token_id', defaults.eos) !== undefined,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
}

/** Control, unknown and user-defined tokens are matched literally in the text. */
export function addedTokens({ values, tokens, types }: Source): AddedToken[] {
  // GGUF has no fields for these: Phi-3's special tokens include the white space after them, and some masks that before
  // them.
  const phi3 = /phi-?3/i.test(text(values, 'general.name') ?? '');
  const masks =
    /^jina-v2-(?:de|es|code)$|^modern-bert$/.test(text(values, 'tokenizer.ggml.pre') ?? '') ||
    /^(?:nomic-bert-moe|jina-bert-v3)$/.test(text(values, 'general.architecture') ?? '');
  const added: AddedToken[] = [];
  tokens.forEach((content, id) => {
    const type = types?.[id] ?? TYPE.normal;
    const special = type === TYPE.control || type === TYPE.unknown || (ENDS.has(content) && type !== TYPE.userDefined);
    if (!special && type !== TYPE.userDefined) return;
    added.push({
      id,
      content,
      special,
      singleWord: false,
      normalized: false,
      rstrip: phi3 && special && !/^(?:<unk>|<s>|<\|endoftext\|>)$/.test(content),
      lstrip: masks && (content === '<mask>' || content === '[MASK]'),
    });
  });
  return added;
}

const utf8 = new TextEncoder();

/** Added tokens print literally, byte tokens print their byte, others what `plain` returns. */
export function decoderOf(
  { table, types }: Source,
  added: readonly AddedToken[],
  leadingSpaces: number,
  plain: (token: string) => Uint8Array,
): TokenDecoder {
  const special = new Set(added.filter((token) => token.special).map((token) => token.id));
  const verbatim = new Set(added.map((token) => token.id));
  return {
    leadingSpaces,
    isSpecial: (id) => special.has(id) || types?.[id] === TYPE.unused || types?.[id] === TYPE.undefined,
    bytes: (id) => {
      const token = table.text(id);
      if (verbatim.has(id)) return utf8.encode(token);
      const byte = types?.[id] === TYPE.byte ? byteTokenValue(token) : -1;
      return byte >= 0 ? Uint8Array.of(byte) : plain(token);
    },
  };
}

/**
 * Separate functions, so that the closures that they return do not keep the whole description alive: engines share one
 * context among all closures of a scope.
 */
function spaceMarks(prefix: boolean): (segment: string, first: boolean, afterToken: boolean) => string {
  return (segment, _first, afterToken) => ((prefix && afterToken ? ' ' : '') + segment).replaceAll(' ', SPACE_MARK);
}
export function idsOf({ table }: Source): (token: string) => number | undefined {
  return (token) => table.find(token);
}

export const spaced = (token: string): Uint8Array => utf8.encode(token.replaceAll(SPACE_MARK, ' '));

/** Tokens that ordinary text may encode to: neither control tokens nor the names of byte tokens. */
export function ordinary({ tokens, types }: Source, added: readonly AddedToken[]): (string | undefined)[] {
  const special = new Set(added.filter((token) => token.special).map((token) => token.id));
  return tokens.map((token, id) => (special.has(id) || types?.[id] === TYPE.byte ? undefined : token));
}

/** The ids that are put before and after a text, and between two texts. */
export function ends(
  facts: TokenizerFacts,
  { values }: Source,
): { before: readonly number[]; after: readonly number[]; between?: readonly number[] } {
  const after = facts.addEos && facts.eos[0] !== undefined ? [facts.eos[0]] : [];
  return {
    before: facts.addBos && facts.bos !== undefined ? [facts.bos] : [],
    after,
    // RoBERTa's pairs have two.
    ...(text(values, 'general.architecture') === 'bert' && { between: [...after, ...after] }),
  };
}

function describeBpe(source: Source, pre: string): TokenizerDescription {
  const { values, tokens, ids } = source;
  const named = namedPretokenizer(pre);
  if (named === undefined) {
    return failTokenizer(
      `the pretokeniser ${JSON.stringify(pre)} (tokenizer.ggml.pre) is not known; known are ${pretokenizerNames().join(', ')}`,
      { pre },
    );
  }
  const byteLevel = named.characters !== true;
  const facts = factsOf(source, { bos: 11, eos: 11, addBos: named.addBos === true, addEos: false });
  const added = addedTokens(source);
  const merges =
    strings(values, 'merges') ??
    failTokenizer('tokenizer.ggml.merges is missing; convert the model again with its tokenizer');
  const model: TokenModel = {
    kind: 'bpe',
    byteLevel,
    byteFallback: !byteLevel,
    fuseUnknown: false,
    dropUnknown: byteLevel,
    ignoreMerges: named.ignoreMerges === true,
    entries: packEntries(ordinary(source, added), byteLevel),
    tokens: tokens.length,
    unknown: facts.unknown,
    byteIds: byteTokens(ids, byteLevel),
    merges: mergeList(merges, ids, byteLevel, false),
  };
  return {
    facts,
    added,
    model,
    idOf: idsOf(source),
    stages: namedStages(named),
    ...ends(facts, source),
    decoder: decoderOf(source, added, 0, byteLevel ? (token) => byteLevelBytes(token) ?? utf8.encode(token) : spaced),
    ...(byteLevel ? {} : { normalize: (segment: string) => segment.replaceAll(' ', SPACE_MARK) }),
  };
}

function describeSentencePiece(source: Source): TokenizerDescription {
  const { values, tokens, ids } = source;
  const facts = factsOf(source, { bos: 1, eos: 2, unknown: 0, addBos: true, addEos: false });
  const scores =
    numbers(values, 'scores', tokens.length) ??
    failTokenizer('tokenizer.ggml.scores is missing; convert the model again with its tokenizer');
  const added = addedTokens(source);
  const byteIds = byteTokens(ids, false).map((id, byte) =>
    id < 0 && byte < 128 ? (ids.get(String.fromCharCode(byte)) ?? -1) : id,
  );
  const spacePrefix = flag(values, 'add_space_prefix') ?? true;
  return {
    facts,
    added,
    idOf: idsOf(source),
    stages: wordStages(tokens, ids),
    ...ends(facts, source),
    model: {
      kind: 'bpe',
      byteLevel: false,
      byteFallback: true,
      fuseUnknown: false,
      ignoreMerges: false,
      entries: packEntries([...ordinary(source, added), ...looseCharacters(tokens, ids)], false),
      tokens: tokens.length,
      unknown: facts.unknown,
      byteIds,
      merges: { kind: 'ranks', ranks: ranksOf(scores, tokens.length) },
    },
    normalize: spaceMarks(spacePrefix),
    decoder: decoderOf(source, added, spacePrefix ? 1 : 0, spaced),
  };
}
