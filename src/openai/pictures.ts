/** POST /v1/images/generations: pictures from words, by models that paint. */
import { toBase64 } from '../vision/base64.ts';
import type { Fields } from './fields.ts';
import { WITHOUT_EFFECT } from './parameters.ts';
import { refusal, unsupported } from './problem.ts';
import type { Served } from './served.ts';

const MOST_PICTURES = 10;
const MOST_SIDE = 4096;

const NAMES = [
  'prompt',
  'model',
  'n',
  'size',
  'response_format',
  'output_format',
  'background',
  'stream',
  'seed',
  'steps',
  'guidance',
  // They choose among what a server has; here the model's own way is the only one.
  'quality',
  'style',
  'moderation',
  'output_compression',
] as const;

export async function pictures(fields: Fields, served: Served, signal: AbortSignal): Promise<Response> {
  fields.only(NAMES, WITHOUT_EFFECT);
  const prompt = fields.text('prompt');
  if (prompt === undefined || prompt === '') throw fields.wrong('prompt', 'a text that is not empty');
  if (fields.flag('stream') === true) throw unsupported('stream', 'pictures are sent when they are finished');
  if ((fields.choice('output_format', ['png', 'jpeg', 'webp']) ?? 'png') !== 'png')
    throw unsupported('output_format', "use 'png'");
  if (fields.value('background') === 'transparent') throw unsupported('background', 'pictures here are opaque');
  const format = fields.choice('response_format', ['b64_json', 'url']) ?? 'b64_json';
  const options = {
    prompt,
    count: fields.number('n', 1, MOST_PICTURES, true) ?? 1,
    ...optional('size', readSize(fields)),
    ...optional('seed', fields.number('seed', 0, Number.MAX_SAFE_INTEGER, true)),
    ...optional('steps', fields.number('steps', 1, 1000, true)),
    ...optional('guidance', fields.number('guidance', 0, 100)),
    signal,
  };
  return served.inTurn(signal, async (model) => {
    if (!model.capabilities.paint)
      throw refusal(400, `The model '${served.name}' does not paint`, { param: 'model', code: 'unsupported_model' });
    const painted = await model.paint(options);
    const data = await Promise.all(
      painted.map(async (picture) => {
        const base64 = toBase64(await picture.toPng());
        return format === 'url' ? { url: `data:image/png;base64,${base64}` } : { b64_json: base64 };
      }),
    );
    return Response.json({ created: Math.floor(Date.now() / 1000), output_format: 'png', data });
  });
}

function optional<Name extends string>(name: Name, value: number | undefined): { readonly [K in Name]?: number } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [K in Name]: number });
}

/** Pictures here are square. */
function readSize(fields: Fields): number | undefined {
  const size = fields.text('size');
  if (size === undefined || size === 'auto') return undefined;
  const [, width = '', height = ''] = /^(\d{1,5})x(\d{1,5})$/.exec(size) ?? [];
  if (width === '' || width !== height || Number(width) > MOST_SIDE)
    throw fields.wrong('size', "'auto' or equal sides, such as '512x512'");
  return Number(width);
}
