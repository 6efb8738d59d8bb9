/** Chooses what a session's preset, or `kvBits: 'auto'`, means for its model and device. Fetched by sessions that ask for it. */
import { chooseContext, needsLeastBits, type ContextFacts, type LeastBits } from '../select/presets.ts';
import { isDecided } from '../select/settings.ts';
import type { ContextChoice, ContextOptions, DecidedContext } from '../select/options.ts';
import { leastBits, type Notes } from './kv-bits.ts';
import type { SessionModel } from './session-cache.ts';

/** What a model tells about its device, for the choice. */
export interface DeviceFacts extends Pick<ContextFacts, 'token' | 'room'> {
  /** Names the model and the kind of its device. */
  readonly key: string;
  readonly notes: Notes | undefined;
}

/** Given the tokens of a prompt, and what was chosen before, which stays unless the prompt is longer than all before it. */
export type Choose = (tokens: number, before?: ContextChoice) => ContextChoice;

/** One measurement at a time for each model; after a failure the next session tries again. */
const measured = new WeakMap<SessionModel, Promise<LeastBits>>();

/** Measures what is needed and not known, which may take a minute with a large model. */
export async function chooser(model: SessionModel, given: ContextOptions): Promise<Choose> {
  const device = (await model.deviceFacts?.()) ?? UNKNOWN;
  const facts = { window: given.window ?? model.window, token: device.token, room: device.room };
  let least: LeastBits | undefined;
  if (needsLeastBits(given, facts)) {
    let finding = measured.get(model);
    if (finding === undefined) {
      finding = leastBits(model, device);
      measured.set(model, finding);
      finding.catch(() => measured.delete(model));
    }
    least = await finding;
  }
  return (tokens, before) =>
    before !== undefined && tokens <= before.tokens ? before : chooseContext(given, { ...facts, tokens, least });
}

/** The options of one context of `tokens` tokens. */
export async function decidedContext(
  model: SessionModel,
  given: ContextOptions,
  tokens: number,
): Promise<DecidedContext> {
  return isDecided(given) ? given : (await chooser(model, given))(tokens).options;
}

/** A model without a device of its own: memory does not matter. */
const UNKNOWN: DeviceFacts = { token: { half: 0, open: 0 }, room: Infinity, key: '', notes: undefined };
