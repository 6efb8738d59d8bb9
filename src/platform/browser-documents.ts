/** Documents in browsers, web views and Electron's renderers. */
import type { DocumentEnvironment } from '../document/environment.ts';
import { openDocument } from '../face/document.ts';
import type { Documents } from '../face/documents.ts';
import { Database } from '../store/database.ts';
import { readImage } from '../vision/read.ts';

const environment: DocumentEnvironment = {
  readPath: undefined,
  startPdfWorker:
    typeof Worker === 'function'
      ? () => new Worker(new URL('./pdf-worker.js', import.meta.url), { type: 'module', name: 'octavo-pdf' })
      : undefined,
  async drawing() {
    if (typeof OffscreenCanvas !== 'function') return undefined;
    return {
      canvas: (width, height) => new OffscreenCanvas(width, height),
      png: (canvas) => (canvas as OffscreenCanvas).convertToBlob({ type: 'image/png' }),
    };
  },
  readPicture: (bytes, name, signal) => readImage(new File([bytes as Uint8Array<ArrayBuffer>], name), { signal }),
  records: async () => (typeof indexedDB === 'undefined' ? undefined : new Database('octavo-documents')),
};

export const browserDocuments: Documents = {
  openLibrary: async (name, options) => (await import('../face/library.ts')).openLibrary(name, options, environment),
  openDocument: (source, options) => openDocument(source, options, environment),
};
