/** What the provider's functions take beside a model. */
import type { LoadOptions } from '../public.ts';
import type { SessionDefaults } from './conversation.ts';

export interface OctavoProviderSettings {
  /** How the model is loaded, where an input was given. */
  readonly load?: LoadOptions | undefined;
  /** Applies where a call says nothing. */
  readonly session?: SessionDefaults | undefined;
}
