/**
 * A whole model on a backend against the f64 reference on the same, dequantised, weights: logits of a prefill and of the steps after it
 * for every weight format, and the greedy ids of a trained model.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { WEIGHT_FORMATS, type WeightFormat } from '../../src/backend/weight.ts';
import { openModel } from '../../src/load/index.ts';
import type { ModelFile } from '../../src/load/model-file.ts';
import { loadModel } from '../../src/models/model.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { f32Tensor, writeGguf, type GgufWriterTensor } from './gguf-writer.ts';
import { greedy, logitsOf } from './language.ts';
import { random } from './random.ts';
import { requantised } from './requantised.ts';
import { expectNmse, TOLERANCE } from './tolerance.ts';

const FORMATS = Object.keys(WEIGHT_FORMATS) as WeightFormat[];
/** Of the trained model, whose f64 reference takes seconds: the benchmark's formats, and the two without quants. */
const TRAINED_FORMATS: readonly WeightFormat[] = ['F32', 'F16', 'Q8_0', 'Q4_0', 'Q4_K', 'Q5_0', 'Q6_K'];

/** More than a tile of tokens and no multiple of one; then one by one, over the end of a KV page. */
const PREFILL = 29;
const STEPS = 5;

/** A trained model and what it should say. */
export interface TrainedModel {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly prompts: readonly { readonly ids: readonly number[]; readonly continuation: readonly number[] }[];
}

/** Qwen2's graph with rows that every format divides: 2 layers, [256] hidden, 4 query and 2 key/value heads of 64, MLP 512, biases on q, k, v. */
function randomModel(): Uint8Array<ArrayBuffer> {
  const [hidden, heads, kvHeads, headDim, mlp, vocabulary, layers] = [256, 4, 2, 64, 512, 300, 2];
  const numbers = random(5);
  const tensors: GgufWriterTensor[] = [];
  const matrix = (name: string, rows: number, cols: number, spread = 1): void => {
    tensors.push(f32Tensor(`${name}.weight`, [rows, cols], numbers.normals(rows * cols, spread / Math.sqrt(cols))));
  };
  const vector = (name: string, length: number, mean: number, spread: number): void => {
    tensors.push(
      f32Tensor(
        name,
        [length],
        numbers.normals(length, spread).map((v) => v + mean),
      ),
    );
  };
  matrix('token_embd', vocabulary, hidden, Math.sqrt(hidden));
  for (let layer = 0; layer < layers; layer++) {
    const block = `blk.${layer}`;
    vector(`${block}.attn_norm.weight`, hidden, 1, 0.2);
    for (const [part, rows] of [
      ['q', heads * headDim],
      ['k', kvHeads * headDim],
      ['v', kvHeads * headDim],
    ] as const) {
      matrix(`${block}.attn_${part}`, rows, hidden);
      vector(`${block}.attn_${part}.bias`, rows, 0, 0.3);
    }
    matrix(`${block}.attn_output`, hidden, heads * headDim);
    vector(`${block}.ffn_norm.weight`, hidden, 1, 0.2);
    matrix(`${block}.ffn_gate`, mlp, hidden);
    matrix(`${block}.ffn_up`, mlp, hidden);
    matrix(`${block}.ffn_down`, hidden, mlp);
  }
  vector('output_norm.weight', hidden, 1, 0.2);
  matrix('output', vocabulary, hidden);
  return writeGguf(
    {
      'general.architecture': 'qwen2',
      'qwen2.block_count': layers,
      'qwen2.context_length': 128,
      'qwen2.embedding_length': hidden,
      'qwen2.feed_forward_length': mlp,
      'qwen2.attention.head_count': heads,
      'qwen2.attention.head_count_kv': kvHeads,
      'qwen2.attention.layer_norm_rms_epsilon': { type: 'f32', value: 1e-6 },
      'qwen2.rope.freq_base': { type: 'f32', value: 10000 },
    },
    tensors,
  );
}

/** Logits by model and format, computed once a test file. */
const TRUTH = new Map<string, Promise<{ readonly file: ModelFile; readonly logits: Float32Array }>>();

function truth(
  name: string,
  bytes: Uint8Array,
  format: WeightFormat,
  ids: readonly number[],
): Promise<{ readonly file: ModelFile; readonly logits: Float32Array }> {
  const key = `${name} ${format}`;
  const known = TRUTH.get(key);
  if (known !== undefined) return known;
  const made = (async () => {
    const file = await requantised(await openModel(bytes), format);
    const backend = createReferenceBackend();
    const model = (await loadModel(file, backend)).language;
    const logits = await logitsOf(model, ids, [PREFILL]);
    model.free();
    backend.destroy();
    return { file, logits };
  })();
  TRUTH.set(key, made);
  return made;
}

export function precision(name: string, create: () => Promise<Backend>, trained: readonly TrainedModel[]): void {
  describe(`precision: ${name}`, () => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await create();
    });
    afterAll(() => {
      backend.destroy();
    });

    const compare = async (
      model: string,
      bytes: Uint8Array,
      format: WeightFormat,
      ids: readonly number[],
    ): Promise<void> => {
      const { file, logits: wanted } = await truth(model, bytes, format, ids);
      const language = (await loadModel(file, backend)).language;
      const found = await logitsOf(language, ids, [PREFILL]);
      language.free();
      const decode = PREFILL * language.config.vocabulary;
      const allowed = WEIGHT_FORMATS[format].block === 1 ? TOLERANCE.reduction : TOLERANCE.quantised;
      expectNmse(
        found.subarray(0, decode),
        wanted.subarray(0, decode),
        allowed,
        `${model} in ${format}: logits of ${PREFILL} tokens at once`,
      );
      expectNmse(
        found.subarray(decode),
        wanted.subarray(decode),
        allowed,
        `${model} in ${format}: logits of ${STEPS} tokens one by one`,
      );
    };

    const numbers = random(17);
    const ids = Array.from({ length: PREFILL + STEPS }, () => numbers.integer(0, 300));
    const bytes = randomModel();
    test.each(FORMATS)('random weights, %s', (format) => compare('the random model', bytes, format, ids));

    for (const model of trained) {
      const prompt = model.prompts[0]?.ids ?? [];
      if (prompt.length >= PREFILL + STEPS) {
        test.each(TRAINED_FORMATS)(`${model.name}, %s`, (format) =>
          compare(model.name, model.bytes, format, prompt.slice(0, PREFILL + STEPS)),
        );
      }
      test(`greedy ids of ${model.name}`, async () => {
        const language = (await loadModel(await openModel(model.bytes), backend)).language;
        for (const { ids: given, continuation } of model.prompts)
          expect(await greedy(language, given, continuation.length)).toEqual(continuation);
        language.free();
      });
    }
  });
}
