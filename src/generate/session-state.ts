/** The state of a session except its KV pages. */
import type { Turn } from '../chat/messages.ts';
import type { Transcript } from '../chat/prompt.ts';
import type { SessionSettings } from './options.ts';

/** Everything of a session except its pages. */
export interface SessionState {
  readonly window: number;
  readonly settings: Omit<SessionSettings, 'initialPrompts'>;
  readonly initial: readonly Turn[];
  readonly turns: readonly Turn[];
  readonly transcript: Transcript;
}
