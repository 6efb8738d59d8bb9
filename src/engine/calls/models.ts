/** Calls on a model itself: loading, recovering and freeing it, its tokens and its memory. */
import type { LoadProgress } from '../../load/model-file.ts';
import type { Platform } from '../../platform/platform.ts';
import type { EngineApi } from '../../worker/api.ts';
import { packError } from '../../worker/protocol.ts';
import type { CallContext, Handlers } from '../../worker/responder.ts';
import type { HostedModels } from '../hosted.ts';
import type { LoadListener } from '../loaded.ts';
import { loadAny } from '../load.ts';
import type { OpenDevice } from '../model.ts';

type ModelCalls = Pick<
  Handlers<EngineApi>,
  'load' | 'inspect' | 'recover' | 'watch' | 'memory' | 'free' | 'encode' | 'decode'
>;

/**
 * How often, in milliseconds, an engine that is freeing a model shows that it does not hang: well within the time that
 * the page waits.
 */
const ALIVE_INTERVAL = 1000;

/** `cancel` ends the running calls of a model. */
export function modelCalls(
  models: HostedModels,
  platform: Platform,
  open: OpenDevice | undefined,
  cancel: (model: number) => void,
): ModelCalls {
  const listener = (context: CallContext<LoadProgress>): LoadListener => ({
    signal: context.signal,
    monitor: (progress) => context.event(progress),
  });
  return {
    load: async ({ input, settings, fetch: port }, context) => {
      const own = port && (await import('../../worker/lent-fetch.ts')).borrowFetch(port);
      const opening = own === undefined ? platform : { ...platform, open: { ...platform.open, fetch: own } };
      return models.add(await loadAny(opening, input, settings, listener(context), open)).info;
    },
    // Pages that only load do not download it.
    inspect: async ({ input, settings, once }, { signal }) =>
      (await import('../report.ts')).report(platform, input, settings, { signal, once }),
    recover: ({ request, ...of }, context) => models.get(of).recover(request, listener(context)),
    watch: (of, context) => {
      const { loaded } = models.get(of);
      void loaded.lost.then((error) => context.event({ lost: packError(error) }));
      loaded.onNotKept = (error) => context.event({ notKept: packError(error) });
      return new Promise((resolve) => context.signal.addEventListener('abort', () => resolve()));
    },
    memory: (of) => models.get(of).loaded.memory(),
    free: async ({ model }, context) => {
      // This call is cancelled too, but it ignores its signal.
      cancel(model);
      const alive = setInterval(() => context.event('waiting'), ALIVE_INTERVAL);
      try {
        const freed = models.remove({ model });
        // What cannot be stored may turn out now, and the call that watched is cancelled.
        if (freed) freed.loaded.onNotKept = (error) => context.event({ notKept: packError(error) });
        await freed?.free();
      } finally {
        clearInterval(alive);
      }
    },
    encode: ({ text, special, ...of }) => models.get(of).loaded.tokenizer.encode(text, { special }),
    decode: ({ ids, special, ...of }) => models.get(of).loaded.tokenizer.decode(ids, { special }),
  };
}
