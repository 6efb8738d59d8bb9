/** What the images of a forward call ask of it besides their embeddings: spans that are seen in both directions, and rows for several layers. */
import type { Backend, Ranges, Tensor } from '../backend/backend.ts';
import { withinSpans, type OpenSpan } from '../kv/open-spans.ts';
import type { EncodedImage } from '../models/vision/vision-model.ts';
import type { ImageCall, PromptImage, ShownCall } from './images.ts';

/** `encoded` gives an image's embeddings; `made` keeps the tensors that are made. */
export function duringCall(
  backend: Backend,
  call: ShownCall,
  encoded: (image: PromptImage) => EncodedImage,
  made: (body: () => Tensor) => Tensor = (body) => body(),
): ImageCall | undefined {
  const { start, count, spans } = call;
  const reached = spans.filter(({ at, tokens }) => at < start + count && at + tokens > start);
  if (reached.length === 0) return undefined;
  const both = reached.filter(({ image }) => image.bidirectional);
  return {
    open:
      both.length === 0
        ? undefined
        : opening(
            call,
            both.map(({ at, tokens }) => [at, at + tokens]),
          ),
    perLayer: perLayerRows(backend, { start, count, spans: reached }, encoded, made),
  };
}

/** Remembers the last answer: the layers of a call mostly share their ranges. */
function opening(
  { start: position, count: queryCount }: ShownCall,
  spans: readonly OpenSpan[],
): (ranges: Ranges) => Ranges {
  let last: { readonly given: Ranges; readonly opened: Ranges } | undefined;
  return (given) => {
    if (last?.given !== given) last = { given, opened: withinSpans(given, { queryCount, position, spans }) };
    return last.opened;
  };
}

/** What images add behind the first decoder layers, zeros elsewhere: [count, hidden] each; undefined: nothing. */
function perLayerRows(
  backend: Backend,
  { start, count, spans }: ShownCall,
  encoded: (image: PromptImage) => EncodedImage,
  made: (body: () => Tensor) => Tensor,
): readonly Tensor[] | undefined {
  const rows: Tensor[][] = [];
  const indices = new Int32Array(count).fill(-1);
  let known = 0;
  for (const { at, tokens, image, row } of spans) {
    const from = Math.max(start, at);
    const to = Math.min(start + count, at + tokens);
    const { perLayer = [] } = encoded(image);
    if (perLayer.length === 0) continue;
    for (const [layer, all] of perLayer.entries())
      (rows[layer] ??= []).push(made(() => backend.rows(all, row + from - at, to - from)));
    for (let slot = from; slot < to; slot++) indices[slot - start] = known++;
  }
  if (rows.length === 0) return undefined;
  return rows.map((parts) => made(() => backend.take(backend.stack(parts), indices)));
}
