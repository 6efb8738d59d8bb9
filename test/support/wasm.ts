/** WASM backends for tests, from build/wasm, on the builds that this Node may run. */
import { readFile } from 'node:fs/promises';
import { createWasmBackend, type WasmBackend } from '../../src/backend/wasm.ts';
import { createNodePlatform } from '../../src/platform/node-engine.ts';
import { spawnPoolWorker } from '../../src/platform/pool-node.ts';
import { instantiate, WASM_BUILDS, type Wasm, type WasmBuild } from '../../src/wasm.ts';

/** Builds that this process runs correctly; the relaxed ones need Node 22 (src/platform/node-engine.ts). */
export const TEST_BUILDS: readonly WasmBuild[] = WASM_BUILDS.filter(
  (build) => !createNodePlatform().distrusted.includes(build),
);

const modules = new Map<WasmBuild, Promise<WebAssembly.Module>>();

export function moduleOf(build: WasmBuild): Promise<WebAssembly.Module> {
  const known = modules.get(build);
  if (known) return known;
  const module = readFile(new URL(`../../build/wasm/octavo.${build}.wasm`, import.meta.url)).then((bytes) =>
    WebAssembly.compile(bytes),
  );
  modules.set(build, module);
  return module;
}

export async function openWasm(build: WasmBuild): Promise<Wasm> {
  return instantiate(build, await moduleOf(build));
}

/** Three threads where the build has any: an odd number, and more than the cores of small machines. */
export async function openWasmBackend(
  build: WasmBuild,
  threads = build.endsWith('-threads') ? 3 : 1,
): Promise<WasmBackend> {
  return createWasmBackend({ wasm: await openWasm(build), threads, spawn: spawnPoolWorker });
}
