/** The call that paints and edits images. */
import type { EngineApi } from '../../worker/api.ts';
import type { Handlers } from '../../worker/responder.ts';
import type { HostedModels } from '../hosted.ts';

export function paintingCalls(models: HostedModels): Pick<Handlers<EngineApi>, 'paint'> {
  return {
    paint: async ({ settings, preview, ...of }, context) => {
      const onPreview = (rgba: Uint8ClampedArray, size: number): void => {
        const data = new Uint8ClampedArray(rgba);
        context.latest({ data, width: size, height: size }, [data.buffer]);
      };
      const painted = await models.get(of).model.paint(settings, {
        signal: context.signal,
        onProgress: (progress) => context.event(progress),
        ...(preview ? { onPreview } : {}),
      });
      context.transfer(...painted.map(({ data }) => data.buffer));
      return painted;
    },
  };
}
