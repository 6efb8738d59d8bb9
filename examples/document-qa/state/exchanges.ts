/** Questions and answers, kept one by one, so that two tabs never overwrite each other's. */
import { createStore, promisifyRequest } from 'idb-keyval';
import type { AskMode, Citation, SearchResult } from 'octavo';
import { visible } from '../../common/device/visibility.ts';
import { Observable } from '../../common/observable.ts';
import { hear, tell } from './channel.ts';

/** A citation with the words around it, as it is shown. */
export interface Evidence extends Pick<
  Citation,
  'document' | 'name' | 'page' | 'start' | 'end' | 'quote' | 'rectangles' | 'kind' | 'answer'
> {
  readonly before: string;
  readonly after: string;
  /** Whether the words were recognised in a picture. */
  readonly recognised?: boolean | undefined;
}

export interface Nearest extends Pick<SearchResult, 'start' | 'end' | 'page' | 'text' | 'path' | 'rectangles'> {
  readonly document: string;
  readonly name: string;
}

export interface Answer {
  readonly text: string;
  readonly evidence: readonly Evidence[];
  readonly mode: AskMode;
  /** "5 of 214 passages" */
  readonly read: string;
  readonly absent: number;
  readonly nearest: readonly Nearest[];
  readonly unverified: readonly string[];
  /** Documents that were not read yet, of all that were asked. */
  readonly unread?: number | undefined;
  readonly model: string;
  /** In milliseconds, from the question to the end; and what of it was reading, for how many tokens. */
  readonly time: number;
  readonly prefill: number;
  readonly tokens: number;
}

export interface Exchange {
  readonly id: string;
  /** The name of the document, or '' for all. */
  readonly scope: string;
  readonly question: string;
  /** Milliseconds since 1970. */
  readonly asked: number;
  readonly answer: Answer | undefined;
  /** Of an answer that did not come. */
  readonly problem:
    | { readonly title: string; readonly detail: string; readonly tooLong?: TooLong | undefined }
    | undefined;
}

/** What a model has no room for: the question; the text, so that its best passages may fit; or the text even part by part. */
export type TooLong = 'question' | 'text' | 'parts';

/** A lock that a tab holds while it answers: it ends with the tab, however that ends. */
const LOCK = 'document-qa:answers ';

/** Resolves, when the lock is held, with what gives it back. */
export function holdAnswer(id: string): Promise<() => void> {
  return new Promise((held) => {
    if (navigator.locks === undefined) held(() => undefined);
    else void navigator.locks.request(LOCK + id, () => new Promise<void>((release) => held(release)));
  });
}

async function answeredElsewhere(): Promise<ReadonlySet<string>> {
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  return new Set(held.flatMap(({ name = '' }) => (name.startsWith(LOCK) ? [name.slice(LOCK.length)] : [])));
}

const store = createStore('document-qa', 'exchanges');
/** More are not shown at once; the oldest go first. */
const MOST = 500;

const prefixOf = (scope: string): string => `${scope}\u0000`;
const keyOf = ({ scope, asked, id }: Exchange): string => `${prefixOf(scope)}${String(asked).padStart(15, '0')} ${id}`;
const rangeOf = (scope: string): IDBKeyRange => IDBKeyRange.bound(prefixOf(scope), `${prefixOf(scope)}\uffff`);

function isExchange(value: unknown): value is Exchange {
  if (typeof value !== 'object' || value === null) return false;
  const { id, scope, question, asked } = value as Partial<Record<keyof Exchange, unknown>>;
  return (
    typeof id === 'string' && typeof scope === 'string' && typeof question === 'string' && typeof asked === 'number'
  );
}

export class Exchanges {
  /** Of the scope that is shown, the oldest first. */
  readonly list = new Observable<readonly Exchange[]>([]);
  /** What another tab answers just now, by ids. */
  readonly elsewhere = new Observable<ReadonlySet<string>>(new Set());
  #scope = '';
  /** Counts changes of this tab: what was read before one of them is read again. */
  #changes = 0;

  constructor() {
    hear((news) => {
      if (news.kind === 'conversation' && news.scope === this.#scope) void this.show(this.#scope);
    });
    visible.subscribe((seen) => {
      if (seen) void this.show(this.#scope);
    });
  }

  async show(scope: string): Promise<void> {
    if (scope !== this.#scope) this.list.value = [];
    this.#scope = scope;
    for (;;) {
      const before = this.#changes;
      const found = await this.#all(scope);
      const elsewhere = await answeredElsewhere();
      if (scope !== this.#scope) return;
      if (before !== this.#changes) continue;
      this.elsewhere.value = elsewhere;
      this.list.value = found;
      return;
    }
  }

  async put(exchange: Exchange): Promise<void> {
    this.#changes++;
    if (exchange.scope === this.#scope) {
      const others = this.list.value.filter(({ id }) => id !== exchange.id);
      this.list.value = [...others, exchange].sort((a, b) => a.asked - b.asked);
    }
    await store('readwrite', (records) => promisifyRequest(records.put(exchange, keyOf(exchange)))).catch(
      () => undefined,
    );
    this.#changes++;
    tell({ kind: 'conversation', scope: exchange.scope });
  }

  async remove(exchange: Exchange): Promise<void> {
    this.#changes++;
    if (exchange.scope === this.#scope) this.list.value = this.list.value.filter(({ id }) => id !== exchange.id);
    await store('readwrite', (records) => promisifyRequest(records.delete(keyOf(exchange)))).catch(() => undefined);
    tell({ kind: 'conversation', scope: exchange.scope });
  }

  async clear(scope: string): Promise<void> {
    this.#changes++;
    if (scope === this.#scope) this.list.value = [];
    await store('readwrite', (records) => promisifyRequest(records.delete(rangeOf(scope)))).catch(() => undefined);
    tell({ kind: 'conversation', scope });
  }

  async #all(scope: string): Promise<readonly Exchange[]> {
    try {
      const found = await store('readonly', (records) => promisifyRequest<unknown[]>(records.getAll(rangeOf(scope))));
      return found.filter(isExchange).slice(-MOST);
    } catch {
      return [];
    }
  }
}
