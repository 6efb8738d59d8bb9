/**
 * The interface in which a store of models is written: values by keys, changed several at a time. IndexedDB
 * (`database.ts`) in browsers, a folder in Node.
 */

export type Key = readonly (string | number)[];

export interface Entry {
  readonly key: Key;
  readonly value: unknown;
}

/** The writes of one transaction, decided on the values it finds. */
export interface Change {
  readonly put?: readonly Entry[];
  /** Whole families: all keys that begin with these parts. */
  readonly remove?: readonly Key[];
}

export interface StorageEstimate {
  readonly usage: number | undefined;
  readonly quota: number | undefined;
}

export interface Records {
  /** Undefined where there is none; null where what is stored is damaged, so that it can be removed. */
  get<T>(key: Key): Promise<T | null | undefined>;
  /** Returns all values whose keys begin with `prefix`, null for those that are damaged. */
  all<T>(prefix: Key): Promise<(T | null)[]>;
  count(prefix: Key): Promise<number>;
  /**
   * Reads `key`, lets `decide` choose what to do, and does it; resolves with the value found. Throws `StorageError`.
   */
  change<T>(key: Key, decide: (found: T | null | undefined) => Change): Promise<T | null | undefined>;
  put(...entries: readonly Entry[]): Promise<void>;
  /** Whether bytes are stored as Blobs. */
  blobs(): Promise<boolean>;
  /** Runs `body` while nobody else holds `name`, as far as the platform can ensure that. */
  lock<T>(name: string, signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T>;
  estimate(): Promise<StorageEstimate>;
}
