/** Encoders of training/parity/encoders.py with a WordPiece tokenizer of 64 tokens: whole folders, for stories about embedding and ranking. */
import { writeSafetensors } from '../load/safetensors-writer.ts';
import { encoderFixtures } from './encoder-fixtures.ts';
import { safetensors } from './fixtures.ts';

const SPECIALS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]'];
const LETTERS = [...'abcdefghijklmnopqrstuvwxyz'];
const VOCABULARY = [...SPECIALS, ...LETTERS, ...LETTERS.map((letter) => `##${letter}`), 'cat', 'dog', 'query', ':'];

const special = (name: string, id: number): unknown => ({ id, content: name, special: true, normalized: false });
const around = (token: string, type: number): unknown => ({ SpecialToken: { id: token, type_id: type } });
const text = (id: string, type: number): unknown => ({ Sequence: { id, type_id: type } });

const TOKENIZER = {
  added_tokens: SPECIALS.map(special),
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [around('[CLS]', 0), text('A', 0), around('[SEP]', 0)],
    pair: [around('[CLS]', 0), text('A', 0), around('[SEP]', 0), text('B', 1), around('[SEP]', 1)],
    special_tokens: Object.fromEntries(
      ['[CLS]', '[SEP]'].map((name, i) => [name, { id: name, ids: [2 + i], tokens: [name] }]),
    ),
  },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    vocab: Object.fromEntries(VOCABULARY.map((token, id) => [token, id])),
  },
};

export const jsonBytes = (value: unknown): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(value));

/** The files of a fixture by name, with a tokenizer; `more` in place of or beside them, undefined for none. */
export async function tinyEncoder(
  name: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Record<string, Uint8Array<ArrayBuffer>>> {
  const { files } = (await encoderFixtures()).find((fixture) => fixture.name === name)!;
  const all: Record<string, Uint8Array<ArrayBuffer>> = {
    ...files,
    'tokenizer.json': jsonBytes(TOKENIZER),
    'tokenizer_config.json': jsonBytes({
      cls_token: '[CLS]',
      sep_token: '[SEP]',
      pad_token: '[PAD]',
      unk_token: '[UNK]',
    }),
  };
  for (const [file, value] of Object.entries(more)) {
    if (value === undefined) delete all[file];
    else all[file] = value instanceof Uint8Array ? (value as Uint8Array<ArrayBuffer>) : jsonBytes(value);
  }
  return all;
}

/** The same with other values of some tensors. */
export async function withTensors(
  name: string,
  others: Readonly<Record<string, { readonly shape: readonly number[]; readonly values: Float32Array }>>,
): Promise<Record<string, Uint8Array<ArrayBuffer>>> {
  const files = await tinyEncoder(name);
  const tensors = { ...Object.fromEntries(safetensors(files['model.safetensors']!)), ...others };
  const table = Object.entries(tensors).map(([tensor, { shape, values }]) => [
    tensor,
    { dtype: 'F32', shape, data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) },
  ]);
  return { ...files, 'model.safetensors': writeSafetensors(Object.fromEntries(table)) as Uint8Array<ArrayBuffer> };
}
