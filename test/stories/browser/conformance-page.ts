/** Runs in a worker of Chromium: the backends' conformance suite, the precision of whole models and that they give the same bits, on the builds that Node 20 has not. */
import { spawnPoolWorker } from '../../../src/platform/pool-browser.ts';
import { createWasmBackend, type WasmBackend } from '../../../src/backend/wasm.ts';
import { instantiate, type WasmBuild } from '../../../src/wasm.ts';
import { conformance } from '../../support/conformance.ts';
import { determinism } from '../../support/determinism.ts';
import { precision, type TrainedModel } from '../../support/precision.ts';
import { runSuite, type SuiteResult } from './suite.ts';

/** What the page sends. */
export interface SuiteAsk {
  readonly builds: readonly { readonly build: WasmBuild; readonly threads: number }[];
  readonly trained: readonly TrainedModel[];
}

async function open(build: WasmBuild, threads: number): Promise<WasmBackend> {
  const module = await WebAssembly.compileStreaming(
    fetch(new URL(`/wasm/octavo.${build}.wasm`, globalThis.location.origin)),
  );
  return createWasmBackend({ wasm: await instantiate(build, module), threads, spawn: spawnPoolWorker });
}

globalThis.onmessage = async ({ data }: MessageEvent<SuiteAsk>): Promise<void> => {
  let answer: SuiteResult;
  try {
    for (const { build, threads } of data.builds) {
      conformance(`${build}, ${threads}`, () => open(build, threads));
      precision(`${build}, ${threads}`, () => open(build, threads), data.trained);
    }
    for (const build of new Set(data.builds.map((asked) => asked.build)))
      determinism(build, (threads) => open(build, threads), build.endsWith('-threads') ? [1, 2] : [1]);
    answer = await runSuite();
  } catch (error) {
    answer = { passed: 0, failed: [error instanceof Error ? `${error.message} ${error.stack}` : String(error)] };
  }
  globalThis.postMessage(answer);
};
