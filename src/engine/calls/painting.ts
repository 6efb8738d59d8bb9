/** Calls that paint and edit images, and tell what is read of them. */
import type { EngineApi } from '../../worker/api.ts';
import type { Handlers } from '../../worker/responder.ts';
import type { HostedModels } from '../hosted.ts';

export function paintingCalls(models: HostedModels): Pick<Handlers<EngineApi>, 'paint' | 'keptTokens'> {
  return {
    keptTokens: ({ image, settings, ...of }, { signal }) => models.get(of).model.keptTokens(image, settings, signal),
    paint: async ({ settings, preview, checkpoints, ...of }, context) => {
      const onPreview = (rgba: Uint8ClampedArray, size: number): void => {
        const data = new Uint8ClampedArray(rgba);
        context.latest({ data, width: size, height: size }, [data.buffer]);
      };
      const painted = await models.get(of).model.paint(settings, {
        signal: context.signal,
        onProgress: (progress) => context.event({ kind: 'progress', progress }),
        ...(preview ? { onPreview } : {}),
        ...(checkpoints ? { onCheckpoint: (checkpoint) => context.event({ kind: 'checkpoint', checkpoint }) } : {}),
      });
      context.transfer(...painted.map(({ data }) => data.buffer));
      return painted;
    },
  };
}
