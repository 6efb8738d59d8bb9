/** Settings of the provider. */
import type { LoadOptions } from '../public.ts';
import type { SessionDefaults } from './conversation.ts';

/** What the provider's functions take beside a model. */
export interface OctavoProviderSettings {
  /** How the model is loaded, where an input was given. */
  readonly load?: LoadOptions | undefined;
  /** Applies where a call says nothing. */
  readonly session?: SessionDefaults | undefined;
}

/** How the model is loaded, for kinds of models that have no sessions. */
export type ProviderLoading = Pick<OctavoProviderSettings, 'load'>;
