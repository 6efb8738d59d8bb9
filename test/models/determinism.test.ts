/** On every WASM build that this Node runs; the relaxed builds, and two threads, follow in Chromium (test/stories/browser/conformance.test.ts). */
import { determinism } from '../support/determinism.ts';
import { openWasmBackend, TEST_BUILDS } from '../support/wasm.ts';

for (const build of TEST_BUILDS)
  determinism(
    build,
    (threads) => openWasmBackend(build, threads),
    build.endsWith('-threads') ? [1, 3] : [1],
    build === 'scalar' ? 3 : 1,
  );
