/** Documents in Node: paths, the cache folder, and pages drawn by @napi-rs/canvas where it is installed. */
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Canvas, DocumentEnvironment } from '../document/environment.ts';
import { MOST_BYTES } from '../document/limits.ts';
import { FileError } from '../errors.ts';
import { openDocument } from '../face/document.ts';
import type { Documents } from '../face/documents.ts';
import { FolderRecords } from '../store/folder-records.ts';
import { readImage } from '../vision/read.ts';
import { octavoFolder } from './cache-folder.ts';
import { createNodeDecoder } from './images-node.ts';
import { pathOf } from './node-files.ts';

interface NodeCanvas extends Canvas {
  encode(format: 'png'): Promise<Uint8Array<ArrayBuffer>>;
}

/** Not a literal, so that bundlers leave the package, a binary for each system, to Node. */
const CANVAS = '@napi-rs/canvas';

export const nodeEnvironment: DocumentEnvironment = {
  async readPath(given) {
    const path = given.startsWith('file:') ? pathOf(given) : given;
    const name = basename(path);
    const unreadable = (problem: string, cause?: unknown): FileError =>
      new FileError('missing', { file: path, field: 'document' }, problem, { cause });
    try {
      const found = await stat(path);
      if (found.isDirectory()) throw unreadable('it is a folder; give a file');
      if (found.size > MOST_BYTES)
        throw new FileError(
          'limit',
          { file: name, field: 'document' },
          `it has ${found.size} bytes and documents are read up to ${MOST_BYTES}; split it`,
        );
      return { bytes: await readFile(path), name };
    } catch (cause) {
      if (cause instanceof FileError) throw cause;
      throw unreadable('it cannot be read; check the path', cause);
    }
  },
  // The caller's thread reads: a page takes 40 to 200 ms, and the engine has a thread of its own.
  startPdfWorker: undefined,
  async drawing() {
    try {
      const library = (await import(CANVAS)) as {
        createCanvas(width: number, height: number): NodeCanvas;
      } & Readonly<Record<string, unknown>>;
      // pdf.js draws with these, which browsers have. Those of another copy of the package would crash this one.
      const globals = globalThis as Record<string, unknown>;
      for (const name of ['DOMMatrix', 'ImageData', 'Path2D']) globals[name] = library[name];
      return {
        canvas: (width, height) => library.createCanvas(width, height),
        png: async (canvas) => new Blob([await (canvas as NodeCanvas).encode('png')], { type: 'image/png' }),
      };
    } catch {
      return undefined;
    }
  },
  readPicture: (bytes, name, signal) =>
    readImage(new File([bytes as Uint8Array<ArrayBuffer>], name), { decoder: createNodeDecoder(), signal }),
  records: async () => new FolderRecords(join(octavoFolder(), 'documents')),
};

export function nodeDocuments(environment: DocumentEnvironment = nodeEnvironment): Documents {
  return {
    openLibrary: async (name, options) => (await import('../face/library.ts')).openLibrary(name, options, environment),
    openDocument: (source, options) => openDocument(source, options, environment),
  };
}
