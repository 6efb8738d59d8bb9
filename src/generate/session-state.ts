/** The state of a session except its KV pages. */
import type { Turn } from '../chat/messages.ts';
import type { Transcript } from '../chat/prompt.ts';
import type { DecidedContext } from '../select/options.ts';
import type { SessionSettings } from './options.ts';

/** The settings of a session after its beginning. Nothing of the context is left to be chosen. */
export interface KeptSettings extends Omit<SessionSettings, 'initialPrompts' | 'context'> {
  readonly context?: DecidedContext | undefined;
}

/** Everything of a session except its pages. */
export interface SessionState {
  readonly window: number;
  readonly settings: KeptSettings;
  readonly initial: readonly Turn[];
  readonly turns: readonly Turn[];
  readonly transcript: Transcript;
}
