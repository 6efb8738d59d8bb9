/** Calls that read text and images and answer with text. */
import type { Answer } from '../../generate/answer.ts';
import { Session, type SessionListener } from '../../session.ts';
import type { AnswerInfo, EngineApi, PromptEvent } from '../../worker/api.ts';
import type { CallContext, Handlers } from '../../worker/responder.ts';
import type { HostedModels } from '../hosted.ts';
import { sessionListener, throttle } from './listener.ts';

type PromptCalls = Pick<Handlers<EngineApi>, 'prompt' | 'append' | 'measure' | 'complete' | 'score'>;

export function promptCalls(models: HostedModels): PromptCalls {
  return {
    prompt: async ({ session: id, input, settings, ...of }, context) => {
      const session = models.get(of).session(id);
      return reported(await session.prompt(input, settings, textListener(context)), session);
    },
    append: async ({ session: id, input, ...of }, context) => {
      const session = models.get(of).session(id);
      await session.append(input, sessionListener(context));
      return session.usage;
    },
    measure: ({ session, input, ...of }, { signal }) => models.get(of).session(session).measure(input, signal),
    complete: async ({ input, settings, ...of }, context) => {
      const once = new Session(models.get(of).model);
      try {
        return reported(await once.complete(input, settings, textListener(context)), once);
      } finally {
        await once.destroy();
      }
    },
    score: async ({ input, settings, ...of }, context) => {
      const { model } = models.get(of);
      // Pages that score nothing do not download it.
      const { score } = await import('../../generate/score.ts');
      const onProgress = throttle((done, total) => context.event({ done, total }));
      const found = await score(model, input, settings, { signal: context.signal, onProgress });
      context.transfer(found.ids.buffer, found.logProbs.buffer);
      return found;
    },
  };
}

/** The text was sent piece by piece. */
function reported({ text: _text, ...report }: Answer, { usage }: Session): AnswerInfo {
  return { ...report, usage };
}

function textListener(context: CallContext<PromptEvent, string>): SessionListener {
  return {
    ...sessionListener(context),
    onText: (text) => context.item(text),
    onToken: (token) => context.event({ kind: 'token', token }),
  };
}
