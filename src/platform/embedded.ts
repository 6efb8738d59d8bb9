/**
 * Takes the engine out of the archive in the page's own bundle, as blob URLs. Downloaded only when the engine's files
 * are not found.
 */
import { WASM_BUILDS } from '../wasm.ts';
import { unpackArchive } from './archive.ts';
import type { EngineFiles } from './engine-files.ts';

export interface EmbeddedEngine {
  /** URLs of the scripts of the worker and of a pool thread. */
  readonly worker: string;
  readonly pool: string;
  readonly files: EngineFiles;
}

let opened: Promise<EmbeddedEngine> | undefined;

/**
 * The archive is unpacked once for each page. The blob URLs serve every engine that the page starts, so they are never
 * revoked.
 */
export function openEmbedded(): Promise<EmbeddedEngine> {
  opened ??= open();
  return opened;
}

async function open(): Promise<EmbeddedEngine> {
  const urls = new Map(
    [...(await unpackArchive())].map(([name, bytes]) => [
      name,
      URL.createObjectURL(new Blob([bytes], { type: name.endsWith('.wasm') ? 'application/wasm' : 'text/javascript' })),
    ]),
  );
  const url = (name: string): string => urls.get(name) ?? '';
  return {
    worker: url('worker.js'),
    pool: url('pool.js'),
    files: {
      wasm: Object.fromEntries(WASM_BUILDS.map((build) => [build, url(`octavo.${build}.wasm`)])) as EngineFiles['wasm'],
      parts: Object.fromEntries(
        [...urls].flatMap(([name, place]) => (/^worker-.*\.js$/.test(name) ? [[name.slice(0, -3), place]] : [])),
      ),
    },
  };
}
