/** Reads a tokenizer from tokenizer.json and tokenizer_config.json, as Hugging Face's `tokenizers` does. */
import type { JsonObject, JsonValue, ModelMetadata } from '../load/model-file.ts';
import type { AddedToken, SplitStage, TokenModel, TokenizerDescription } from './description.ts';
import { LONGEST_ADDED_TOKEN } from './added-tokens.ts';
import { failTokenizer } from './failure.ts';
import { turnEnds } from './turn-ends.ts';
import { createDecoder } from './huggingface-decoder.ts';
import { createNormalizer } from './huggingface-normalizers.ts';
import { createPretokenizer } from './huggingface-pretokenizers.ts';
import type { Pretokenizer } from './huggingface-pretokenizers.ts';
import { asArray, asFlag, asObject, asString, isObject, steps } from './json.ts';
import { TokenTable } from './token-table.ts';
import type { TokenizerFacts } from './tokenizer.ts';
import {
  ByteList,
  MOST_TOKENS,
  byteTokens,
  checkScores,
  checkTokens,
  mergeList,
  packEntries,
  unigramUnknownScore,
  wordStages,
} from './vocabulary.ts';

type Folder = Extract<ModelMetadata, { kind: 'huggingface' }>;

export function describeHuggingFace(folder: Folder): TokenizerDescription {
  const file =
    folder.tokenizer ?? failTokenizer('the folder has no tokenizer.json; add the one that belongs to the model');
  const model = asObject(file['model'], 'model');
  const added = addedTokens(file['added_tokens']);
  const vocabulary = readVocabulary(model);
  const tokens: (string | undefined)[] = [...vocabulary.tokens];
  const ids = new Map(vocabulary.ids);
  for (const token of added) {
    tokens[token.id] ??= token.content;
    ids.set(token.content, token.id);
  }
  const pretokenizer = createPretokenizer(file['pre_tokenizer']);
  const facts = factsOf(folder, ids, tokens.length);
  const special = new Set(added.filter((token) => token.special).map((token) => token.id));
  const described = createModel(model, vocabulary, pretokenizer, special);
  const normalizer = createNormalizer(file['normalizer']);
  const decoder = createDecoder(file['decoder']);
  const { before, after, between } = affixes(file['post_processor'], facts, folder.tokenizerConfig);
  const table = new TokenTable(tokens);
  return {
    facts: { ...facts, addBos: facts.bos !== undefined && before.includes(facts.bos), addEos: after.length > 0 },
    added:
      normalizer === undefined
        ? added
        : added.map((token) =>
            token.normalized ? { ...token, content: normalizer(token.content, false, false) } : token,
          ),
    idOf: idsOf(table, added),
    before,
    after,
    between,
    model: described.model,
    stages: described.stages,
    ...(normalizer === undefined ? {} : { normalize: normalizer }),
    ...(pretokenizer.prepare === undefined ? {} : { prepare: pretokenizer.prepare }),
    decoder: {
      leadingSpaces: decoder.leadingSpaces,
      isSpecial: (id) => special.has(id),
      bytes: (id) => decoder.bytes(table.text(id), false),
      firstBytes: (id) => decoder.bytes(table.text(id), true),
    },
  };
}

/** Added tokens come before those of the vocabulary, which they may repeat. */
function idsOf(table: TokenTable, added: readonly AddedToken[]): (token: string) => number | undefined {
  const first = new Map(added.map(({ content, id }) => [content, id]));
  return (token) => first.get(token) ?? table.find(token);
}

function addedTokens(value: JsonValue | undefined): AddedToken[] {
  if (value === undefined || value === null) return [];
  return asArray(value, 'added_tokens').map((item) => {
    const token = asObject(item, 'added_tokens');
    const id = tokenId(token['id'], 'added_tokens');
    const special = asFlag(token['special'], false);
    const content = asString(token['content'], 'added_tokens.content');
    // Checked before tables of all tokens are made.
    if (content.length > LONGEST_ADDED_TOKEN)
      failTokenizer(
        `tokenizer.json: added tokens of ${content.length} characters; at most ${LONGEST_ADDED_TOKEN} are supported`,
        { id },
      );
    return {
      id,
      content,
      special,
      lstrip: asFlag(token['lstrip'], false),
      rstrip: asFlag(token['rstrip'], false),
      singleWord: asFlag(token['single_word'], false),
      normalized: asFlag(token['normalized'], !special),
    };
  });
}

function tokenId(value: JsonValue | undefined, field: string, count = MOST_TOKENS): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= count) {
    return failTokenizer(
      `tokenizer.json: ${field} has the token id ${JSON.stringify(value)}; ids from 0 to ${count - 1} are possible`,
      { field },
    );
  }
  return value;
}

interface Vocabulary {
  /** By id; holes are undefined. */
  readonly tokens: readonly (string | undefined)[];
  readonly ids: ReadonlyMap<string, number>;
  /** Unigram only. */
  readonly scores: Float64Array;
}

function readVocabulary(model: JsonObject): Vocabulary {
  const { vocab } = model;
  const ids = new Map<string, number>();
  const scores: number[] = [];
  if (Array.isArray(vocab)) {
    const list = asArray(vocab, 'model.vocab');
    checkTokens(
      list.map((item, id) => {
        const [token, score] = asArray(item, 'model.vocab');
        if (typeof score !== 'number')
          return failTokenizer(`tokenizer.json: model.vocab entry ${id} has no score`, { id });
        scores.push(score);
        return asString(token, 'model.vocab');
      }),
    );
    const tokens = list.map((item) => String((item as readonly JsonValue[])[0]));
    tokens.forEach((token, id) => ids.set(token, id));
    return { tokens, ids, scores: Float64Array.from(scores) };
  }
  const entries = Object.entries(asObject(vocab, 'model.vocab'));
  checkTokens(entries.map(([token]) => token));
  const tokens: (string | undefined)[] = [];
  let last = -1;
  for (const [token, value] of entries) {
    const id = tokenId(value, 'model.vocab');
    last = Math.max(last, id);
    ids.set(token, id);
  }
  tokens.length = last + 1;
  for (const [token, id] of ids) tokens[id] = token;
  return { tokens: Array.from(tokens), ids, scores: Float64Array.of() };
}

/** The kind of model: its `type`, which old files omit. */
function modelKind(model: JsonObject): string {
  if (typeof model['type'] === 'string') return model['type'];
  if (Array.isArray(model['vocab'])) return 'Unigram';
  return model['merges'] === undefined ? 'WordPiece' : 'BPE';
}

function createModel(
  model: JsonObject,
  { tokens, ids, scores }: Vocabulary,
  pretokenizer: Pretokenizer,
  special: ReadonlySet<number>,
): { model: TokenModel; stages: readonly SplitStage[] } {
  const { byteLevel } = pretokenizer;
  const kind = modelKind(model);
  // Special tokens are matched earlier. Leaving them out here makes sure that ordinary text never encodes to one.
  const ordinary = special.size === 0 ? tokens : tokens.map((token, id) => (special.has(id) ? undefined : token));
  const unknownName = model['unk_token'];
  const named = typeof unknownName === 'string' ? ids.get(unknownName) : undefined;
  switch (kind) {
    case 'BPE': {
      if (typeof model['dropout'] === 'number' && model['dropout'] > 0)
        failTokenizer(`tokenizer.json: BPE dropout ${model['dropout']} would make ids random; set it to null`);
      for (const field of ['continuing_subword_prefix', 'end_of_word_suffix']) {
        if (typeof model[field] === 'string' && model[field] !== '')
          failTokenizer(`tokenizer.json: BPE with the ${field} ${JSON.stringify(model[field])} is not supported`, {
            field,
          });
      }
      const merges = asArray(model['merges'], 'model.merges').map((merge) => {
        if (typeof merge === 'string') return merge;
        const [left, right] = asArray(merge, 'model.merges');
        return [asString(left, 'model.merges'), asString(right, 'model.merges')] as const;
      });
      const ignoreMerges = asFlag(model['ignore_merges'], false);
      const words = pretokenizer.stages.length === 0 && !byteLevel && !ignoreMerges;
      return {
        stages: words ? wordStages(tokens, ids) : pretokenizer.stages,
        model: {
          kind: 'bpe',
          entries: packEntries(ordinary, byteLevel),
          tokens: tokens.length,
          unknown: named,
          byteLevel,
          byteIds: byteTokens(ids, byteLevel),
          byteFallback: !byteLevel && asFlag(model['byte_fallback'], false),
          fuseUnknown: asFlag(model['fuse_unk'], false),
          ignoreMerges,
          dropUnknown: named === undefined,
          merges: mergeList(merges, ids, byteLevel, true),
        },
      };
    }
    case 'Unigram': {
      checkScores(scores);
      const id = model['unk_id'];
      const unknown = typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < tokens.length ? id : undefined;
      return {
        stages: pretokenizer.stages.length === 0 ? wordStages(tokens, ids) : pretokenizer.stages,
        model: {
          kind: 'unigram',
          entries: packEntries(ordinary, byteLevel),
          tokens: tokens.length,
          unknown,
          scores,
          unknownScore: unigramUnknownScore(scores),
          byteIds: byteTokens(ids, false),
          byteFallback: asFlag(model['byte_fallback'], false),
        },
      };
    }
    case 'WordPiece': {
      const prefix = asString(model['continuing_subword_prefix'] ?? '##', 'model.continuing_subword_prefix');
      const limit = model['max_input_chars_per_word'] ?? 100;
      const list = new ByteList();
      for (const token of ordinary) {
        if (token === undefined) list.skip();
        else if (prefix !== '' && token.startsWith(prefix)) list.add(token.slice(prefix.length));
        else list.add(token, false, 0xff);
      }
      const entries = list.take();
      const wordLimit = typeof limit === 'number' && limit >= 0 && limit < 2 ** 32 ? Math.floor(limit) : 100;
      return {
        stages: pretokenizer.stages,
        model: { kind: 'wordpiece', entries, tokens: tokens.length, unknown: named ?? ids.get('[UNK]'), wordLimit },
      };
    }
    default:
      return failTokenizer(
        `tokenizer.json: the model ${JSON.stringify(kind)} is not known; known are BPE, Unigram, WordPiece`,
        { model: kind },
      );
  }
}

/** The ids that the post-processor puts before and after a single text, and between two. */
function affixes(
  value: JsonValue | undefined,
  facts: TokenizerFacts,
  config: JsonObject | undefined,
): { before: readonly number[]; after: readonly number[]; between?: readonly number[] } {
  const before: number[] = [];
  const after: number[] = [];
  let between: readonly number[] | undefined;
  for (const step of steps(value, 'processors')) {
    switch (step['type']) {
      case 'TemplateProcessing': {
        const specials = asObject(step['special_tokens'], 'post_processor.special_tokens');
        const single = templateParts(step['single'], specials, facts.vocabulary);
        before.push(...(single[0] ?? []));
        after.push(...single.slice(1).flat());
        if (Array.isArray(step['pair'])) between = templateParts(step['pair'], specials, facts.vocabulary)[1];
        break;
      }
      case 'BertProcessing':
      case 'RobertaProcessing':
        before.push(tokenId(asArray(step['cls'], 'post_processor.cls')[1], 'post_processor.cls', facts.vocabulary));
        after.push(tokenId(asArray(step['sep'], 'post_processor.sep')[1], 'post_processor.sep', facts.vocabulary));
        between = step['type'] === 'RobertaProcessing' ? [...after, ...after] : [...after];
        break;
      case 'ByteLevel':
        break;
      default:
        failTokenizer(
          `tokenizer.json: the post_processor ${JSON.stringify(step['type'])} is not known; known are TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, Sequence`,
        );
    }
  }
  // tokenizer_config.json overrides tokenizer.json, as in transformers.
  const [eos] = facts.eos;
  const set = (list: number[], id: number | undefined, wanted: JsonValue | undefined): number[] => {
    if (id === undefined || typeof wanted !== 'boolean' || wanted === list.includes(id)) return list;
    return wanted ? [id] : list.filter((other) => other !== id);
  };
  return {
    before: set(before, facts.bos, config?.['add_bos_token']),
    after: set(after, eos, config?.['add_eos_token']),
    ...(between === undefined ? {} : { between }),
  };
}

/** The ids of a template's special tokens: those before its first text, those up to the next, and so on. */
function templateParts(template: JsonValue | undefined, specials: JsonObject, vocabulary: number): readonly number[][] {
  const parts: number[][] = [[]];
  for (const item of asArray(template, 'post_processor.single')) {
    const token = asObject(item, 'post_processor.single')['SpecialToken'];
    if (!isObject(token)) {
      parts.push([]);
      continue;
    }
    const entry = asObject(specials[asString(token['id'], 'post_processor.single')], 'post_processor.special_tokens');
    for (const id of asArray(entry['ids'], 'post_processor.ids'))
      parts.at(-1)?.push(tokenId(id, 'post_processor', vocabulary));
  }
  return parts;
}

function factsOf(
  { config, generationConfig, tokenizerConfig, chatTemplate }: Folder,
  ids: ReadonlyMap<string, number>,
  known: number,
): TokenizerFacts {
  const byName = (field: string): number | undefined => {
    const value = tokenizerConfig?.[field];
    const name = isObject(value) ? value['content'] : value;
    return typeof name === 'string' ? ids.get(name) : undefined;
  };
  const listed = (source: JsonObject | undefined, field: string): number[] => {
    const value = source?.[field];
    return (Array.isArray(value) ? (value as readonly JsonValue[]) : [value]).filter(
      (id) => typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < known,
    ) as number[];
  };
  const ends = [
    byName('eos_token'),
    ...listed(generationConfig, 'eos_token_id'),
    ...listed(config, 'eos_token_id'),
  ].filter((id) => id !== undefined);
  const optional = {
    bos: byName('bos_token') ?? byName('cls_token') ?? listed(config, 'bos_token_id')[0],
    unknown: byName('unk_token'),
    padding: byName('pad_token') ?? listed(config, 'pad_token_id')[0],
    chatTemplate: chatTemplate ?? templateOf(tokenizerConfig?.['chat_template']),
  };
  const padded = config['vocab_size'];
  return {
    // Models pad their embeddings; ids without a token print nothing.
    vocabulary:
      typeof padded === 'number' && Number.isInteger(padded) && padded > known && padded <= MOST_TOKENS
        ? padded
        : known,
    eos: turnEnds(ends, ids),
    addBos: false,
    addEos: false,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
}

/** One template, or several by name. */
function templateOf(value: JsonValue | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const templates = (value as readonly JsonValue[]).filter(isObject);
  const chosen = templates.find((item) => item['name'] === 'default') ?? templates[0];
  return typeof chosen?.['template'] === 'string' ? chosen['template'] : undefined;
}
