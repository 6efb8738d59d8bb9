/** The conformance suite on every WASM build that this Node runs; the threaded ones with three threads. */
import { conformance } from '../support/conformance.ts';
import { openWasmBackend, TEST_BUILDS } from '../support/wasm.ts';

for (const build of TEST_BUILDS) conformance(`wasm ${build}`, () => openWasmBackend(build));
