/** Calls that read text and images and answer with text. */
import type { Answer } from '../../generate/answer.ts';
import type { AnsweredCall, AnswerPart, ToolResult } from '../../chat/tools.ts';
import { Session, type SessionListener } from '../../session.ts';
import type { AnswerInfo, EngineApi, PromptEvent } from '../../worker/api.ts';
import type { CallContext, Handlers } from '../../worker/responder.ts';
import { Rounds } from '../../worker/rounds.ts';
import type { HostedModels } from '../hosted.ts';
import { sessionListener, throttle } from './listener.ts';

type PromptCalls = Pick<
  Handlers<EngineApi>,
  'prompt' | 'giveResults' | 'append' | 'prefill' | 'measure' | 'attribute' | 'complete' | 'score'
>;

export function promptCalls(models: HostedModels): PromptCalls {
  const rounds = new Rounds();
  return {
    prompt: async ({ session: id, input, settings, runs, ...of }, context) => {
      const session = models.get(of).session(id);
      const run = (calls: readonly AnsweredCall[]): Promise<readonly ToolResult[]> => rounds.ask(calls, context);
      const listener = {
        ...textListener<AnswerPart>(context, (text) => ({ type: 'text', text })),
        onPart: (part: AnswerPart) => context.item(part),
        tools: { names: new Set(runs), run },
      };
      return reported(await session.prompt(input, settings, listener), session);
    },
    giveResults: ({ round, results }) => rounds.give(round, results),
    append: async ({ session: id, input, ...of }, context) => {
      const session = models.get(of).session(id);
      await session.append(input, sessionListener(context));
      return session.usage;
    },
    prefill: ({ session, input, ...of }, context) =>
      models.get(of).session(session).prefill(input, sessionListener(context)),
    measure: ({ session, input, settings, ...of }, { signal }) =>
      models.get(of).session(session).measure(input, settings, signal),
    attribute: async ({ session, settings, ...of }, context) => {
      const found = await models.get(of).session(session).attribute(settings, context.signal);
      context.transfer(found.masses.buffer);
      return found;
    },
    complete: async ({ input, settings, ...of }, context) => {
      const once = new Session(models.get(of).model);
      try {
        return reported(
          await once.complete(
            input,
            settings,
            textListener(context, (text) => text),
          ),
          once,
        );
      } finally {
        await once.destroy();
      }
    },
    score: async ({ input, settings, ...of }, context) => {
      const { model } = models.get(of);
      // Pages that score nothing do not download this code.
      const { score } = await import('../../generate/score.ts');
      const onProgress = throttle((done, total) => context.event({ done, total }));
      const found = await score(model, input, settings, { signal: context.signal, onProgress });
      context.transfer(found.ids.buffer, found.logProbs.buffer);
      return found;
    },
  };
}

/** The text was already sent piece by piece. */
function reported({ text: _text, ...report }: Answer, { usage }: Session): AnswerInfo {
  return { ...report, usage };
}

/** `item`: what is sent for a piece of text. */
function textListener<Item>(context: CallContext<PromptEvent, Item>, item: (text: string) => Item): SessionListener {
  return {
    ...sessionListener(context),
    onText: (text) => context.item(item(text)),
    onToken: (token) => context.event({ kind: 'token', token }),
  };
}
