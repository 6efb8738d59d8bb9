/** What was downloaded, kept in IndexedDB. */
export { ModelStore, type StoredFile } from './model-store.ts';
