/**
 * Downloads and saved sessions, kept in IndexedDB or, in Node, in a folder. Scripts that every page downloads import
 * only `model-store.ts`.
 */
export { IndexedShelf } from './indexed-shelf.ts';
export { ModelStore, type StoredFile } from './model-store.ts';
export {
  SessionStore,
  type KeepLimits,
  type SaveOptions,
  type SessionUsage,
  type StoredSession,
} from './session-store.ts';
export type { SessionManifest, Shelf } from './shelf.ts';
