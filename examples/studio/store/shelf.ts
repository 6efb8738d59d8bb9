/** What the application keeps in IndexedDB, by kind. Where nothing can be kept, it is told once, and the application works until the tab is closed. */
import { createStore, del, get, set, values } from 'idb-keyval';
import { common } from '../../common/messages.ts';
import { toast } from '../../common/toasts.ts';

/** A file as it is kept: WebKit stores no Blobs where storage lasts only for the session (private windows, automation). */
interface Packed {
  readonly packed: ArrayBuffer;
  readonly type: string;
}

function isPacked(value: object): value is Packed {
  return 'packed' in value && value.packed instanceof ArrayBuffer && 'type' in value && typeof value.type === 'string';
}

/** The same value with `change` applied to the objects for which it gives something else. */
async function mapped(value: unknown, change: (found: object) => Promise<unknown> | undefined): Promise<unknown> {
  if (typeof value !== 'object' || value === null) return value;
  const changed = change(value);
  if (changed !== undefined) return changed;
  if (Array.isArray(value)) return Promise.all(value.map((one) => mapped(one, change)));
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  const members = Object.entries(value).map(async ([name, one]) => [name, await mapped(one, change)] as const);
  return Object.fromEntries(await Promise.all(members));
}

const pack = (value: unknown): Promise<unknown> =>
  mapped(value, (found) =>
    found instanceof Blob ? found.arrayBuffer().then((packed): Packed => ({ packed, type: found.type })) : undefined,
  );

const unpack = (value: unknown): Promise<unknown> =>
  mapped(value, (found) =>
    isPacked(found) ? Promise.resolve(new Blob([found.packed], { type: found.type })) : undefined,
  );

let told = false;

function tell(): void {
  if (told) return;
  told = true;
  toast(common('errorNoStorage'), { kind: 'error' });
}

export class Shelf<T> {
  readonly #store: ReturnType<typeof createStore>;
  readonly #fits: (value: unknown) => value is T;
  /** The last change. Changes are made one after the other: packing a picture takes time, in which the record may be removed. */
  #changed: Promise<unknown> = Promise.resolve();

  /** `fits` recognises records of this version: others, and damaged ones, are taken as missing. */
  constructor(name: string, fits: (value: unknown) => value is T) {
    this.#store = createStore(`octavo-studio-${name}`, 'records');
    this.#fits = fits;
  }

  async all(): Promise<readonly T[]> {
    try {
      return (await Promise.all((await values<unknown>(this.#store)).map(unpack))).filter(this.#fits);
    } catch {
      tell();
      return [];
    }
  }

  async get(key: string): Promise<T | undefined> {
    const found = await unpack(await get<unknown>(key, this.#store).catch(() => undefined));
    return this.#fits(found) ? found : undefined;
  }

  put(key: string, value: T): Promise<void> {
    return this.#change(async () => set(key, await pack(value), this.#store), tell);
  }

  remove(key: string): Promise<void> {
    return this.#change(
      () => del(key, this.#store),
      () => undefined,
    );
  }

  #change(make: () => Promise<void>, failed: () => void): Promise<void> {
    const change = this.#changed.then(make).catch(failed);
    this.#changed = change;
    return change;
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
