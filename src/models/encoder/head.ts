/** Layers over pooled states: the dense modules of sentence-transformers, and the classifiers of cross-encoders. */
import type { Activation, Backend, NormSpec, Tensor, Weight } from '../../backend/backend.ts';

export interface HeadLayer {
  readonly weight: Weight; // (width, width before)
  readonly bias: Weight | undefined; // (width)
  readonly activation: Activation | 'tanh' | undefined;
  readonly norm: NormSpec | undefined;
  readonly width: number;
}

/** pooled [texts, hidden], which is freed -> [texts * width] on the host, width being the last layer's. */
export async function throughHead(
  backend: Backend,
  pooled: Tensor,
  layers: readonly HeadLayer[],
): Promise<Float32Array> {
  const [texts = 0] = pooled.shape;
  let x = pooled;
  const next = (made: Tensor): void => {
    backend.free(x);
    x = made;
  };
  try {
    for (const { weight, bias, activation, norm, width } of layers) {
      next(
        backend.keep(
          backend.scope(() => {
            const y = backend.linear(x, [weight], {
              ...(bias && { bias: [bias] }),
              ...(activation !== undefined && activation !== 'tanh' && { activation }),
            });
            return norm === undefined ? y : backend.norm(y, norm);
          }),
        ),
      );
      // No device has a tanh of its own, and there are only a few rows.
      if (activation === 'tanh') {
        const values = (await backend.download(x)).map(Math.tanh);
        next(backend.keep(backend.scope(() => backend.upload(values, [texts, width]))));
      }
    }
    return await backend.download(x);
  } finally {
    backend.free(x);
  }
}
