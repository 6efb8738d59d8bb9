/** What was downloaded, and sessions that were saved: kept in IndexedDB, in Node in a folder. Scripts that every page downloads take `model-store.ts` alone. */
export { IndexedShelf } from './indexed-shelf.ts';
export { ModelStore, type StoredFile } from './model-store.ts';
export { SessionStore, type SaveOptions, type SessionUsage, type StoredSession } from './session-store.ts';
export type { SessionManifest, Shelf } from './shelf.ts';
