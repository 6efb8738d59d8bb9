/** What the caller's thread needs in Node 20 and later, and in Electron's main and utility processes. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { FacePlatform } from '../face/octavo.ts';
import type { ModelInput } from '../load/index.ts';
import { FolderShelf } from '../store/folder-shelf.ts';
import { SessionStore } from '../store/session-store.ts';
import { readImage } from '../vision/index.ts';
import { nodeEndpoint } from '../worker/endpoints.ts';
import { sessionFolder } from './cache-folder.ts';
import { createNodeDecoder } from './images-node.ts';
import { cloneable } from './input.ts';
import { nodeFiles } from './node-files.ts';

/** The engine runs in a worker thread. */
export function createNodeFace(): FacePlatform {
  const decoder = createNodeDecoder();
  return {
    startEngine: async () => {
      // Flags of the caller's process, such as --input-type, are not for a file's worker.
      const worker = new Worker(new URL('./node-worker.js', import.meta.url), { name: 'octavo', execArgv: [] });
      return nodeEndpoint(worker, () => void worker.terminate());
    },
    input: (input: ModelInput) => {
      if (input === 'nano') return fileURLToPath(new URL('../models/nano/nano.gguf', import.meta.url));
      if (input instanceof URL && input.protocol === 'file:') return fileURLToPath(input);
      if (typeof input === 'string' && input.startsWith('file:')) return fileURLToPath(input);
      return cloneable(input);
    },
    readPicture: (input, signal) => readImage(input, { decoder, files: nodeFiles, signal }),
    capable: typeof WebAssembly === 'object' && existsSync(new URL('./node-worker.js', import.meta.url)),
    store: () => undefined,
    sessions: async () => new SessionStore(new FolderShelf(sessionFolder())),
  };
}
