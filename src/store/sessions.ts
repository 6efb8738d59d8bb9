/**
 * Saved sessions, and pages that leave host memory, kept in IndexedDB or, in Node, in a folder. Pages that need neither
 * do not download this code.
 */
export { IndexedShelf } from './indexed-shelf.ts';
export { SessionStore } from './session-store.ts';
export { Spill } from './spill.ts';
