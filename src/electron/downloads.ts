/** Downloads for engines that run in pages: made by an engine process into the store that all windows share. */
import type { Call, LoadSettings } from '../worker/api.ts';
import type { ModelInput } from '../load/index.ts';
import type { LoadProgress } from '../load/model-file.ts';

export interface DownloadApi {
  /** Resolves when every file of the model is stored and verified. */
  readonly download: Call<
    { readonly input: ModelInput; readonly settings: Omit<LoadSettings, 'device' | 'threads' | 'build'> },
    void,
    LoadProgress,
    never
  >;
}
