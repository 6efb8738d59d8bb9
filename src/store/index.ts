/** What was downloaded, kept in IndexedDB. */
import { ModelStore } from './model-store.ts';

export { ModelStore, type StorageEstimate, type StoredFile } from './model-store.ts';

/** The store of this origin. IndexedDB is opened at the first use. */
export function createModelStore(): ModelStore {
  return new ModelStore();
}
