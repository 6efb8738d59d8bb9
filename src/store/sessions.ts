/** Saved sessions, and pages that leave host memory: kept in IndexedDB, in Node in a folder. Pages that need neither do not download it. */
export { IndexedShelf } from './indexed-shelf.ts';
export { SessionStore } from './session-store.ts';
export { Spill } from './spill.ts';
