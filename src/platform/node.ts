/** The platform of the caller's thread in Node 20 and later, and in Electron's main and utility processes. */
import { join } from 'node:path';
import type { FacePlatform } from '../face/octavo.ts';
import { bundledFile, bundledModel, notInBundle, type BundledModel } from '../load/bundled.ts';
import type { ModelInput } from '../load/index.ts';
import type { ModelStore } from '../store/model-store.ts';
import { FolderShelf } from '../store/folder-shelf.ts';
import { SessionStore } from '../store/session-store.ts';
import { readImage } from '../vision/index.ts';
import { nodeEndpoint } from '../worker/endpoints.ts';
import { openModelStore, sessionFolder } from './cache-folder.ts';
import { createNodeDecoder } from './images-node.ts';
import { cloneable } from './input.ts';
import { nodeFiles, pathOf } from './node-files.ts';
import { packageFolder, startNodeWorker } from './node-worker.ts';

function bundledPath(model: BundledModel): string {
  const folder = packageFolder();
  const file = bundledFile(model);
  if (folder === undefined)
    throw notInBundle(model, `install the package octavo beside it, or load a copy of octavo/${file} by its path`);
  return join(folder, file);
}

/** The engine runs in a worker thread. */
export function createNodeFace(): FacePlatform<ModelStore> {
  const decoder = createNodeDecoder();
  return {
    startEngine: async () => {
      const worker = await startNodeWorker();
      return nodeEndpoint(worker, () => void worker.terminate());
    },
    input: async (input: ModelInput) => {
      const bundled = bundledModel(input);
      if (bundled !== undefined) return bundledPath(bundled);
      if (input instanceof URL && input.protocol === 'file:') return pathOf(input);
      if (typeof input === 'string' && input.startsWith('file:')) return pathOf(input);
      return cloneable(input);
    },
    readPicture: (input, signal) => readImage(input, { decoder, files: nodeFiles, signal }),
    capable: typeof WebAssembly === 'object',
    store: async () => openModelStore(),
    sessions: async () => new SessionStore(new FolderShelf(sessionFolder())),
    documents: async () => (await import('./node-documents.ts')).nodeDocuments(),
  };
}
