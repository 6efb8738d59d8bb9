/** Calls that make vectors and scores of texts. */
import type { EngineApi } from '../../worker/api.ts';
import type { Handlers } from '../../worker/responder.ts';
import type { HostedModels } from '../hosted.ts';
import { throttle } from './listener.ts';

export function textCalls(models: HostedModels): Pick<Handlers<EngineApi>, 'embed' | 'rerank'> {
  return {
    embed: async ({ texts, settings, ...of }, context) => {
      const onProgress = throttle((done, total) => context.event({ done, total }));
      const found = await models.get(of).loaded.embed(texts, settings, { signal: context.signal, onProgress });
      context.transfer(found.vectors.buffer);
      return found;
    },
    rerank: ({ query, passages, ...of }, context) => {
      const onProgress = throttle((done, total) => context.event({ done, total }));
      return models.get(of).loaded.rerank(query, passages, { signal: context.signal, onProgress });
    },
  };
}
