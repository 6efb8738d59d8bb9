/** The documents: what is there, how far each was read, and what this or another tab does about it. */
import {
  Octavo,
  type Embedder,
  type LibraryEntry,
  type LibraryProgress,
  type OctavoDocument,
  type OctavoLibrary,
} from 'octavo';
import { persist } from '../../common/device/storage.ts';
import { onBattery, visible } from '../../common/device/visibility.ts';
import { Observable } from '../../common/observable.ts';
import { hear, tell } from './channel.ts';
import { ocr } from './recognition.ts';
import { settings } from './settings.ts';

export interface ShelfState {
  readonly opened: boolean;
  readonly entries: readonly LibraryEntry[];
  readonly progress: LibraryProgress | undefined;
  /** By the user, or by a setting. */
  readonly paused: boolean;
  /** Why nothing can be kept. */
  readonly problem: unknown;
  /** Names of documents that the browser removed. */
  readonly evicted: readonly string[];
}

const LIBRARY = 'document-qa';
/** Names of all documents, where the browser removes them last. */
const KNOWN = 'document-qa:known';
/** Documents whose text is held in memory. */
const MOST_OPEN = 4;
/** Milliseconds between looks at what another tab has read, while something is being read. */
const LOOK_AGAIN = 1500;
/** Milliseconds between reports of progress. */
const REPORTS = 100;

export class Shelf {
  readonly state = new Observable<ShelfState>({
    opened: false,
    entries: [],
    progress: undefined,
    paused: false,
    problem: undefined,
    evicted: [],
  });
  #library: OctavoLibrary | undefined;
  readonly #open = new Map<string, Promise<OctavoDocument>>();
  #pausedByUser = false;
  #reported = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    hear((news) => {
      if (news.kind === 'library') void this.refresh();
      if (news.kind === 'progress') this.#change({ progress: news.progress });
    });
    visible.subscribe((seen) => {
      if (seen) void this.refresh();
    });
    const check = (): void => this.#checkPause();
    for (const one of [visible, onBattery, settings]) one.subscribe(check);
  }

  /** Opens what is kept, anew where another embedder is to be used. */
  async open(embedder?: Embedder): Promise<void> {
    this.#library?.close();
    this.#open.clear();
    try {
      const library = await Octavo.openLibrary(LIBRARY, {
        embedder,
        ocr,
        recognise: 'asked',
        onProgress: (progress) => this.#report(progress),
      });
      this.#library = library;
      this.#change({ problem: undefined });
      this.#checkPause();
      this.#follow(library);
      await this.refresh();
    } catch (error) {
      this.#change({ opened: true, problem: error });
    }
  }

  get library(): OctavoLibrary | undefined {
    return this.#library;
  }

  entry(name: string): LibraryEntry | undefined {
    // A file that takes the place of another one has its name, too, until it was read.
    return this.state.value.entries.findLast((one) => one.name === name);
  }

  /** Resolves when the file is kept; it is read in the background. */
  async add(file: File, password?: string): Promise<LibraryEntry> {
    if (this.#library === undefined) throw this.state.value.problem ?? new Error('the library is not open yet');
    const entry = await this.#library.add(file, password === undefined ? {} : { password });
    if (this.state.value.entries.length === 0) void persist();
    this.#follow(this.#library);
    this.#changed();
    await this.refresh();
    return entry;
  }

  async remove(id: string): Promise<void> {
    const open = [...this.#open].filter(([key]) => key.startsWith(id));
    for (const [key] of open) this.#open.delete(key);
    await this.#library?.remove(id);
    for (const [, document] of open) (await document.catch(() => undefined))?.close();
    await this.refresh();
    this.#changed();
  }

  /** Has the text of pictures recognised, in the background. */
  async recognise(id: string): Promise<void> {
    if (this.#library === undefined || !(await this.#library.recognise(id))) return;
    this.#follow(this.#library);
    await this.refresh();
    tell({ kind: 'library' });
  }

  /** Ends it; the document stays as it was. */
  async cancelRecognition(id: string): Promise<void> {
    await this.#library?.cancelRecognition(id);
    await this.refresh();
    tell({ kind: 'library' });
  }

  /** The file as it was added; undefined where the browser has removed it. */
  async file(id: string): Promise<File | undefined> {
    return this.#library?.file(id);
  }

  /** A document that was read; the last few stay in memory. What was recognised since is another text. */
  document(id: string): Promise<OctavoDocument> {
    const key = textOf(this.state.value.entries.find((one) => one.id === id)) ?? id;
    const found = this.#open.get(key);
    if (found !== undefined) {
      this.#open.delete(key);
      this.#open.set(key, found);
      return found;
    }
    if (this.#library === undefined) return Promise.reject(new Error('the library is not open yet'));
    const opened = this.#library.open(id);
    this.#open.set(key, opened);
    opened.catch(() => this.#open.delete(key));
    for (const [key, old] of [...this.#open].slice(0, -MOST_OPEN)) {
      this.#open.delete(key);
      void old.then(
        (document) => document.close(),
        () => undefined,
      );
    }
    return opened;
  }

  /** Resolves with the entry when it was read, or could not be; rejects when `signal` is aborted. */
  read(name: string, signal: AbortSignal): Promise<LibraryEntry | undefined> {
    return this.#until(signal, ({ entries, opened }) => {
      const entry = entries.findLast((one) => one.name === name);
      // A question about a document without letters waits for those that are being recognised.
      const waits = !opened || entry?.state === 'waiting' || (entry?.recognition === 'asked' && entry.characters === 0);
      return waits ? undefined : { found: entry };
    });
  }

  /**
   * Resolves when all documents were read or could not be, with 0; where nothing is being read (paused, or it failed) at once, with how many were not. `onCount` is told how many were, and of
   * how many. Rejects when `signal` is aborted.
   */
  readAll(signal: AbortSignal, onCount: (read: number, of: number) => void): Promise<number> {
    return this.#until(signal, ({ entries, opened, paused, problem }) => {
      const unread = entries.filter(({ state }) => state === 'waiting').length;
      if (opened && (unread === 0 || paused || problem !== undefined)) return { found: unread };
      onCount(entries.length - unread, entries.length);
      return undefined;
    });
  }

  /** Resolves with what `look` finds in the state, now or when it has changed. */
  #until<T>(signal: AbortSignal, find: (state: ShelfState) => { readonly found: T } | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        const there = find(this.state.value);
        if (there !== undefined) resolve(there.found);
        return there !== undefined;
      };
      if (look()) return;
      const end = this.state.subscribe(() => {
        if (look()) end();
      });
      signal.addEventListener('abort', () => {
        end();
        reject(signal.reason);
      });
    });
  }

  pause(): void {
    this.#pausedByUser = true;
    this.#checkPause();
  }

  resume(): void {
    this.#pausedByUser = false;
    this.#checkPause();
  }

  forgetEvicted(): void {
    this.#change({ evicted: [] });
  }

  async refresh(): Promise<void> {
    const library = this.#library;
    if (library === undefined) return;
    try {
      const entries = await library.list();
      if (library !== this.#library) return;
      const reading = entries.some(isRead);
      const { progress, evicted } = this.state.value;
      const known = knownNames();
      const gone = known.filter((name) => entries.every((one) => one.name !== name));
      this.#change({
        opened: true,
        entries,
        progress:
          progress !== undefined &&
          entries.some((one) => one.id === progress.id && (isRead(one) || one.state === 'read'))
            ? progress
            : undefined,
        // All are gone at once, and nobody removed them.
        evicted: entries.length === 0 && gone.length > 0 ? gone : entries.length > 0 ? [] : evicted,
      });
      if (entries.length > 0 || gone.length === 0) keepNames(entries.map(({ name }) => name));
      clearTimeout(this.#timer);
      if (reading) this.#timer = setTimeout(() => void this.refresh(), LOOK_AGAIN);
    } catch (error) {
      this.#change({ opened: true, problem: error });
    }
  }

  /** Pages may come faster than anyone sees: what is shown changes a few times a second, and at the end of a phase. */
  #report(progress: LibraryProgress): void {
    const now = performance.now();
    if (progress.done < progress.total && now - this.#reported < REPORTS) return;
    this.#reported = now;
    this.#change({ progress });
    tell({ kind: 'progress', progress });
  }

  /** Follows a reader until nothing waits. */
  #follow(library: OctavoLibrary): void {
    const done = (): void => {
      if (library !== this.#library) return;
      void this.refresh();
      tell({ kind: 'library' });
    };
    library.settled().then(done, (error: unknown) => {
      done();
      if (library === this.#library && !(error instanceof DOMException)) this.#change({ problem: error });
    });
  }

  #changed(): void {
    keepNames(this.state.value.entries.map(({ name }) => name));
    tell({ kind: 'library' });
  }

  #checkPause(): void {
    const { pauseHidden, pauseBattery } = settings.value;
    const paused = this.#pausedByUser || (pauseHidden && !visible.value) || (pauseBattery && onBattery.value);
    if (paused) this.#library?.pause();
    else this.#library?.resume();
    this.#change({ paused });
  }

  #change(change: Partial<ShelfState>): void {
    this.state.value = { ...this.state.value, ...change };
  }
}

/** Whether its text is being taken out, or waits for that. */
function isRead({ state, recognition }: LibraryEntry): boolean {
  return state === 'waiting' || recognition === 'asked';
}

/** The same for the same text of the same file. */
export function textOf(entry: LibraryEntry | undefined): string | undefined {
  return entry && `${entry.id} ${entry.read ?? 0}`;
}

function knownNames(): readonly string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KNOWN) ?? '[]');
    return Array.isArray(found) ? found.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

function keepNames(names: readonly string[]): void {
  try {
    localStorage.setItem(KNOWN, JSON.stringify(names));
  } catch {
    // Nothing can be stored: then nothing is missed, either.
  }
}
