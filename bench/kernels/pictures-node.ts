/** The benchmark of pictures in Node: the engine without a model, on the builds that this Node runs rightly. */
import { readFile } from 'node:fs/promises';
import { createWasmBackend } from '../../src/backend/wasm.ts';
import type { WeightFormat } from '../../src/backend/weight.ts';
import { spawnPoolWorker } from '../../src/platform/pool-node.ts';
import { instantiate, type WasmBuild } from '../../src/wasm.ts';
import { bareRates, measurePictures, type Bare, type PictureResults } from './pictures-job.ts';

export async function measureInNode(
  folder: URL,
  {
    build,
    threads,
    formats,
    runs,
  }: {
    readonly build: WasmBuild;
    readonly threads: number;
    readonly formats: readonly WeightFormat[];
    readonly runs: number;
  },
): Promise<PictureResults & { readonly bare: Bare | undefined }> {
  const load = async (name: string): Promise<WebAssembly.Module> =>
    WebAssembly.compile(await readFile(new URL(name, folder)));
  const backend = await createWasmBackend({
    wasm: await instantiate(build, await load(`octavo.${build}.wasm`)),
    threads,
    spawn: spawnPoolWorker,
  });
  const bare = build.startsWith('relaxed') ? await bareRates(await load('bare.wasm')) : undefined;
  const results = await measurePictures(backend, formats, runs);
  backend.destroy();
  return { ...results, bare };
}
