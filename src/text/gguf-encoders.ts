/** Vocabularies of embedders and re-rankers in GGUF metadata, fetched with the first of them: see gguf.ts. */
import { CharacterMap } from './charsmap.ts';
import type { TokenizerDescription } from './description.ts';
import { failTokenizer } from './failure.ts';
import { addedTokens, decoderOf, ends, factsOf, idsOf, ordinary, spaced, TYPE, type Source } from './gguf.ts';
import { flag, integer, numbers } from './gguf-metadata.ts';
import { SPACE_MARK, bertNormalizer, sentencePieceSpaces } from './normalizers.ts';
import {
  ByteList,
  bertStages,
  byteTokens,
  checkScores,
  packEntries,
  unigramUnknownScore,
  wordStages,
} from './vocabulary.ts';

/** SentencePiece's unigram vocabularies (XLM-RoBERTa, T5). */
export function describeUnigram(source: Source): TokenizerDescription {
  const { values, tokens, types, ids } = source;
  const facts = factsOf(source, { eos: 1, unknown: 2, padding: 0, addBos: false, addEos: true });
  const listed =
    numbers(values, 'scores', tokens.length) ??
    failTokenizer('tokenizer.ggml.scores is missing; convert the model again with its tokenizer');
  const added = addedTokens(source);
  const isNormal = (id: number): boolean => (types?.[id] ?? TYPE.normal) === TYPE.normal;
  const scores = Float64Array.from(tokens, (_, id) => (types?.[id] === TYPE.userDefined ? 0 : (listed[id] ?? 0)));
  checkScores(scores);
  const found = tokens.map((token, id) =>
    isNormal(id) || types?.[id] === TYPE.userDefined || types?.[id] === TYPE.unused ? token : undefined,
  );
  const prefix = flag(values, 'add_space_prefix') ?? false;
  const spaces = { removeExtra: flag(values, 'remove_extra_whitespaces') ?? false, prefix, suffix: false };
  const listedMap = numbers(values, 'precompiled_charsmap', 0);
  const map =
    listedMap === undefined || listedMap.length === 0 ? undefined : new CharacterMap(Uint8Array.from(listedMap));
  return {
    facts,
    added,
    idOf: idsOf(source),
    stages: wordStages(tokens, ids),
    ...ends(facts, source),
    model: {
      kind: 'unigram',
      entries: packEntries(found, false),
      tokens: tokens.length,
      unknown: facts.unknown,
      scores,
      unknownScore: unigramUnknownScore(scores.filter((_, id) => isNormal(id))),
      byteIds: byteTokens(ids, false),
      byteFallback: false,
    },
    normalize: (segment) => sentencePieceSpaces(map?.normalize(segment, true) ?? segment, spaces),
    decoder: decoderOf(source, added, prefix ? 1 : 0, spaced),
  };
}

/** BERT's vocabularies. */
export function describeWordPiece(source: Source): TokenizerDescription {
  const { values, tokens } = source;
  const count = tokens.length;
  const facts = factsOf(source, {
    bos: integer(values, 'cls_token_id') ?? 101,
    unknown: 100,
    padding: 0,
    addBos: true,
    addEos: false,
  });
  const separator = [integer(values, 'seperator_token_id'), integer(values, 'separator_token_id'), 102].find(
    (id) => id !== undefined && id >= 0 && id < count,
  );
  const added = addedTokens(source);
  // "▁word" begins a word, "ing" continues one.
  const list = new ByteList();
  for (const token of ordinary(source, added)) {
    if (token === undefined) list.skip();
    else if (token.startsWith(SPACE_MARK)) list.add(token.slice(1), false, 0xff);
    else list.add(token);
  }
  const entries = list.take();
  const lower = flag(values, 'normalizer.lowercase') ?? true;
  return {
    facts,
    added,
    idOf: idsOf(source),
    stages: bertStages(),
    model: { kind: 'wordpiece', entries, tokens: count, unknown: facts.unknown, wordLimit: 0xffffffff },
    normalize: bertNormalizer({
      cleanText: true,
      chineseCharacters: true,
      lowercase: lower,
      stripAccents: flag(values, 'normalizer.strip_accents') ?? lower,
    }),
    before: facts.bos === undefined || !facts.addBos ? [] : [facts.bos],
    after: separator === undefined || !(flag(values, 'add_sep_token') ?? true) ? [] : [separator],
    decoder: decoderOf(source, added, 1, spaced),
  };
}
