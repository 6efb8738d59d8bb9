/** Whole models on every WASM build that this Node runs, with one and with two threads, against f64; the relaxed builds follow in Chromium (test/stories/browser/conformance.test.ts). */
import { precision } from '../support/precision.ts';
import { trainedModels } from '../support/trained.ts';
import { openWasmBackend, TEST_BUILDS } from '../support/wasm.ts';

const trained = await trainedModels();
for (const build of TEST_BUILDS) {
  for (const threads of build.endsWith('-threads') ? [1, 2] : [1])
    precision(`${build}, ${threads}`, () => openWasmBackend(build, threads), trained);
}
