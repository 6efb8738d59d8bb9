/** Images of prompts without pixels or a model. */
import { consecutive, type ExpandedPart, type ImageSpan } from '../../src/models/vision/vision-model.ts';
import type { PromptImage } from '../../src/see/images.ts';
import { TokenSelection } from '../../src/see/token-selection.ts';

export interface Shape {
  /** Of each span. */
  readonly tokens: number | readonly number[];
  /** Text before, between and behind the spans. */
  readonly text?: readonly string[];
  /** Numbers of the tokens that are kept. */
  readonly kept?: readonly number[];
  readonly bidirectional?: boolean;
}

export function promptImage(
  contentKey: string,
  { tokens, text = [], kept, bidirectional = false }: Shape,
): PromptImage {
  const spans = [tokens]
    .flat()
    .map((count): ImageSpan => ({ tokens: count, rows: 1, columns: count, selectable: count }));
  const expansion: ExpandedPart[] = spans.flatMap((span, i) => [text[i] ?? '', span]);
  return {
    contentKey,
    prepared: {
      image: { data: new Uint8ClampedArray(4), width: 1, height: 1 },
      settings: { size: 1 },
      spans,
    },
    expansion: [...expansion, text[spans.length] ?? ''],
    positions: spans.map(consecutive),
    bidirectional,
    ...(kept && { selection: selection(kept, spans) }),
  };
}

function selection(kept: readonly number[], spans: readonly ImageSpan[]): TokenSelection {
  const choice = {
    method: 'todre',
    keep: 0.5,
    threshold: 0,
    seed: 0,
    pivot: 'farthest',
    spread: 'sum',
    precision: 'exact',
    negated: false,
    release: undefined,
  } as const;
  return new TokenSelection({ choice, kept: Int32Array.from(kept) }, 'whole', spans);
}
