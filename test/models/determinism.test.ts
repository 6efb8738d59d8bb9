/** On every WASM build that this Node runs; the relaxed builds follow in Chromium (test/browser/conformance.test.ts). */
import { determinism } from '../support/determinism.ts';
import { openWasmBackend, TEST_BUILDS } from '../support/wasm.ts';

for (const build of TEST_BUILDS)
  determinism(build, (threads) => openWasmBackend(build, threads), build.endsWith('-threads') ? [1, 2, 3] : [1]);
