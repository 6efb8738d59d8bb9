/** The first message to the engine's worker, and its answer. All later messages are those of src/worker/protocol.ts. */
import type { EngineFiles } from './engine-files.ts';

export interface EngineStart {
  readonly kind: 'octavo-start';
  readonly files: EngineFiles;
  /** The port on which the worker requests pool threads (pool-port.ts). */
  readonly pool: MessagePort;
}

export const ENGINE_STARTED = 'octavo-started';
