/** The first message to the engine's worker, and its answer; everything after them is src/worker/protocol.ts. */
import type { EngineFiles } from './engine-files.ts';

export interface EngineStart {
  readonly kind: 'octavo-start';
  readonly files: EngineFiles;
  /** Where the worker asks for pool threads (pool-port.ts). */
  readonly pool: MessagePort;
}

export const ENGINE_STARTED = 'octavo-started';
