// The order of the test suites: those known to be long first, so that no worker ends minutes after the other; then jest's own order (by size where it has no times yet).
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Sequencer from '@jest/test-sequencer';

/** Suites of a minute and more on two cores, longest first. */
const LONG = [
  'stories/bundlers/bundlers',
  'backend/webgpu',
  'backend/wasm',
  'gpu/pages',
  'models/determinism',
  'wasm',
  'models/parity',
  'store/download',
  'session/leaks',
  'models/unipic-parity',
  'real/language',
  'stories/browser/document-qa',
  'models/nano',
  'stories/browser/studio',
  'document/pdf',
].map((name) => fileURLToPath(new URL(`../test/${name}.test.ts`, import.meta.url)));

export default class LongestFirst extends Sequencer {
  sort(tests) {
    const gone = LONG.filter((path) => !existsSync(path));
    if (gone.length > 0) throw new Error(`tools/sequencer.mjs names suites that are not there: ${gone.join(', ')}`);
    const place = ({ path }) => (LONG.includes(path) ? LONG.indexOf(path) : LONG.length);
    return super.sort(tests).toSorted((a, b) => place(a) - place(b));
  }
}
