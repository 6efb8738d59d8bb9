/** POST /v1/embeddings: vectors of texts, as numbers or as the bytes of little-endian floats in Base64, which the `openai` package asks for. */
import { toBase64 } from '../vision/base64.ts';
import type { Fields } from './fields.ts';
import { WITHOUT_EFFECT } from './parameters.ts';
import { refusal } from './problem.ts';
import type { Served } from './served.ts';

const MOST_TEXTS = 2048;
const MOST_DIMENSIONS = 65_536;

const NAMES = ['input', 'model', 'encoding_format', 'dimensions', 'input_type', 'prefix'] as const;

/** `input_type` ('query' or 'document', as other servers have it) and `prefix` are those of `model.embed`. */
export async function embeddings(fields: Fields, served: Served, signal: AbortSignal): Promise<Response> {
  fields.only(NAMES, WITHOUT_EFFECT);
  const texts = readTexts(fields);
  const format = fields.choice('encoding_format', ['float', 'base64']) ?? 'float';
  const kind = fields.choice('input_type', ['query', 'document'] as const);
  const prefix = fields.text('prefix');
  const dimensions = fields.number('dimensions', 1, MOST_DIMENSIONS, true);
  return served.inTurn(signal, async (model) => {
    if (!model.capabilities.embed)
      throw refusal(400, `The model '${served.name}' gives no embeddings`, {
        param: 'model',
        code: 'unsupported_model',
      });
    const vectors = await model.embed(texts, { kind, prefix, dimensions, signal });
    const data = vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: format === 'float' ? [...vector] : toBase64(littleEndian(vector)),
    }));
    const usage = { prompt_tokens: vectors.tokens, total_tokens: vectors.tokens };
    return Response.json({ object: 'list', data, model: served.name, usage });
  });
}

function readTexts(fields: Fields): readonly string[] {
  const input = fields.value('input');
  if (typeof input === 'string') return [input];
  if (
    Array.isArray(input) &&
    input.length > 0 &&
    input.length <= MOST_TEXTS &&
    input.every((one) => typeof one === 'string')
  )
    return input;
  throw fields.wrong('input', `a text or an array of 1 to ${MOST_TEXTS} texts`);
}

function littleEndian(vector: Float32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * vector.length));
  vector.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return new Uint8Array(view.buffer);
}
