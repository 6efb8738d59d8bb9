/** Model files that the user gave: copies in IndexedDB, so that they are there after a reload. (The package keeps what it downloads itself.) */
import { createStore, del, get, keys, set } from 'idb-keyval';

const store = createStore('octavo-own-models', 'files');

export interface OwnModel {
  readonly name: string;
  readonly bytes: number;
}

function isFiles(value: unknown): value is readonly File[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => one instanceof Blob);
}

/** Undefined for one that was never kept, or that the browser removed. */
export async function ownFile(name: string): Promise<readonly File[] | undefined> {
  const found: unknown = await get(name, store);
  return isFiles(found) ? found : undefined;
}

/** False where there is no room: the model works until the page is closed. */
export async function keepOwn(name: string, files: readonly File[]): Promise<boolean> {
  try {
    await set(name, [...files], store);
    return true;
  } catch {
    return false;
  }
}

export const removeOwn = (name: string): Promise<void> => del(name, store);

export async function ownModels(): Promise<readonly OwnModel[]> {
  try {
    const found: OwnModel[] = [];
    for (const name of await keys<string>(store)) {
      const files = await ownFile(name);
      if (files !== undefined) found.push({ name, bytes: files.reduce((sum, file) => sum + file.size, 0) });
    }
    return found;
  } catch {
    return [];
  }
}
