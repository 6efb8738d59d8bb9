/**
 * Settings of an application: a few values in `localStorage`, shared with its other tabs. What is found there may be damaged or from another version: a value that does
 * not fit becomes the default.
 */
import { Observable } from './observable.ts';

export interface Setting<T> {
  readonly initial: T;
  fits(value: unknown): value is T;
}

export const flag = (initial: boolean): Setting<boolean> => ({ initial, fits: (value) => typeof value === 'boolean' });

export const text = (initial: string, longest = 2000): Setting<string> => ({
  initial,
  fits: (value): value is string => typeof value === 'string' && value.length <= longest,
});

export const amount = (initial: number, least: number, most: number): Setting<number> => ({
  initial,
  fits: (value): value is number => typeof value === 'number' && value >= least && value <= most,
});

export const oneOf = <T extends string>(initial: T, ...others: readonly T[]): Setting<T> => ({
  initial,
  fits: (value): value is T => value === initial || others.some((other) => other === value),
});

type Shape = Readonly<Record<string, Setting<unknown>>>;
type ValueOf<S> = S extends Setting<infer T> ? T : never;
export type Values<S extends Shape> = { readonly [Name in keyof S]: ValueOf<S[Name]> };

export class Settings<S extends Shape> extends Observable<Values<S>> {
  readonly #key: string;
  readonly #shape: S;

  constructor(application: string, shape: S) {
    const key = `${application}:settings`;
    super(read(key, shape));
    this.#key = key;
    this.#shape = shape;
    addEventListener('storage', (event) => {
      if (event.key === key || event.key === null) this.value = read(key, shape);
    });
  }

  /** Changes some of the values and stores all. */
  set(change: Partial<Values<S>>): void {
    this.value = { ...this.value, ...change };
    try {
      localStorage.setItem(this.#key, JSON.stringify(this.value));
    } catch {
      // Nothing can be stored here (a full or private profile): the settings hold until the tab is closed.
    }
  }

  reset(): void {
    this.set(initial(this.#shape));
  }
}

function initial<S extends Shape>(shape: S): Values<S> {
  return Object.fromEntries(Object.entries(shape).map(([name, setting]) => [name, setting.initial])) as Values<S>;
}

function read<S extends Shape>(key: string, shape: S): Values<S> {
  let found: Readonly<Record<string, unknown>> = {};
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? '{}');
    if (typeof value === 'object' && value !== null) found = value as Readonly<Record<string, unknown>>;
  } catch {
    // Damaged, or storage is not to be had: the defaults.
  }
  return Object.fromEntries(
    Object.entries(shape).map(([name, setting]) => [name, setting.fits(found[name]) ? found[name] : setting.initial]),
  ) as Values<S>;
}
