/** What the application keeps in IndexedDB, by kind. Where nothing can be kept, it is told once, and the application works until the tab is closed. */
import { createStore, del, get, set, values } from 'idb-keyval';
import { common } from '../../common/messages.ts';
import { toast } from '../../common/toasts.ts';

let told = false;

function tell(): void {
  if (told) return;
  told = true;
  toast(common('errorNoStorage'), { kind: 'error' });
}

export class Shelf<T> {
  readonly #store: ReturnType<typeof createStore>;
  readonly #fits: (value: unknown) => value is T;

  /** `fits` recognises records of this version: others, and damaged ones, are taken as missing. */
  constructor(name: string, fits: (value: unknown) => value is T) {
    this.#store = createStore(`octavo-studio-${name}`, 'records');
    this.#fits = fits;
  }

  async all(): Promise<readonly T[]> {
    try {
      return (await values<unknown>(this.#store)).filter(this.#fits);
    } catch {
      tell();
      return [];
    }
  }

  async get(key: string): Promise<T | undefined> {
    const found: unknown = await get(key, this.#store).catch(() => undefined);
    return this.#fits(found) ? found : undefined;
  }

  async put(key: string, value: T): Promise<void> {
    try {
      await set(key, value, this.#store);
    } catch {
      tell();
    }
  }

  async remove(key: string): Promise<void> {
    await del(key, this.#store).catch(() => undefined);
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
