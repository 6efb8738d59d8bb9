/** Calls that create and end sessions: new, cloned, saved and resumed ones. */
import { contentKey } from '../../select/content-key.ts';
import { Session } from '../../session.ts';
import type { EngineApi } from '../../worker/api.ts';
import type { Handlers } from '../../worker/responder.ts';
import type { HostedModels } from '../hosted.ts';
import { sessionListener } from './listener.ts';

type SessionCalls = Pick<
  Handlers<EngineApi>,
  'createSession' | 'saveSession' | 'resumeSession' | 'cloneSession' | 'destroySession'
>;

export function sessionCalls(models: HostedModels): SessionCalls {
  return {
    createSession: async ({ settings, ...of }, context) => {
      const hosted = models.get(of);
      const session = await Session.open(hosted.model, settings);
      try {
        await session.start(sessionListener(context));
      } catch (error) {
        void session.destroy();
        throw error;
      }
      return hosted.add(session);
    },
    saveSession: async ({ session, name, evict, ...of }, { signal }) => {
      const hosted = models.get(of);
      // Snapshot now, so that messages sent while the storage module loads are not included.
      const snapshot = hosted.session(session).snapshot(signal);
      const [library, { state, sequence }] = await Promise.all([hosted.library(), snapshot]).catch(
        async (error: unknown) => {
          (await snapshot.catch(() => undefined))?.sequence?.free();
          throw error;
        },
      );
      return library.save(name, state, sequence, contentKey(state.settings.context ?? {}), { evict, signal });
    },
    resumeSession: async ({ name, ...of }, { signal }) => {
      const hosted = models.get(of);
      const { state, fill } = await (await hosted.library()).open(name, signal);
      return hosted.add(await Session.restored(hosted.model, state, (sequence) => fill(sequence, signal), signal));
    },
    cloneSession: async ({ session, ...of }, { signal }) => {
      const hosted = models.get(of);
      return hosted.add(await hosted.session(session).clone(signal));
    },
    destroySession: ({ session, ...of }) => models.get(of).destroySession(session),
  };
}
