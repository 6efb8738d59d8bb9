/** An answer as it comes: a ReadableStream of text, or of parts, that can be iterated in every browser, and a report at its end. */
import type { Started } from '../worker/caller.ts';
import { linkedSignal } from './signals.ts';

/** Pieces that were received but not read yet. For each piece that is read, the engine sends another. */
class Pieces<Item> {
  readonly #held: Item[] = [];
  #wake: (() => void) | undefined;
  taken: () => void = () => undefined;

  push(piece: Item): void {
    this.#held.push(piece);
    this.wake();
  }

  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** The next piece, or undefined when `ended` and none is left. */
  async next(ended: () => boolean): Promise<Item | undefined> {
    while (this.#held.length === 0 && !ended()) await new Promise<void>((resolve) => (this.#wake = resolve));
    const piece = this.#held.shift();
    if (piece !== undefined) this.taken();
    return piece;
  }
}

/**
 * An answer, piece by piece. The engine waits while nobody reads. Leaving the loop, or `cancel`, ends the answer; a failure
 * rejects the reader after the pieces that came before it, an abort at once. `finished` tells how it ended and what it cost.
 */
export class AnswerStream<Item, Report> extends ReadableStream<Item> {
  /** Resolves when the answer is complete; rejects when it failed or was aborted. */
  readonly finished: Promise<Report>;

  /** @hidden `start` makes the call that delivers the pieces. */
  constructor(
    start: (options: { readonly signal: AbortSignal; readonly onItem: (piece: Item) => void }) => Started<Report>,
    signal?: AbortSignal,
  ) {
    const pieces = new Pieces<Item>();
    const own = new AbortController();
    const link = linkedSignal(signal, own.signal);
    let ended = false;
    let failure: { readonly error: unknown } | undefined;
    const { result, take } = start({ signal: link.signal, onItem: (piece) => pieces.push(piece) });
    pieces.taken = take;
    const finished = result.finally(() => link.unlink());
    finished.then(
      () => {
        ended = true;
        pieces.wake();
      },
      (error: unknown) => {
        ended = true;
        failure = { error };
        pieces.wake();
      },
    );
    super(
      {
        pull: async (controller) => {
          const piece = failure === undefined || !link.signal.aborted ? await pieces.next(() => ended) : undefined;
          if (piece !== undefined) controller.enqueue(piece);
          else if (failure !== undefined) controller.error(failure.error);
          else controller.close();
        },
        cancel: (reason) => own.abort(reason),
      },
      { highWaterMark: 0 },
    );
    this.finished = finished;
  }

  /** Not every browser's ReadableStream can be iterated. */
  override [Symbol.asyncIterator](options?: ReadableStreamIteratorOptions): ReadableStreamAsyncIterator<Item> {
    return this.values(options);
  }

  /** Iterates the pieces. Leaving the loop ends the answer, unless `preventCancel` is set. */
  override async *values({ preventCancel = false }: ReadableStreamIteratorOptions = {}): AsyncGenerator<
    Item,
    undefined
  > {
    const reader = this.getReader();
    let open = true;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) {
          open = false;
          return;
        }
        yield value;
      }
    } catch (error) {
      open = false;
      throw error;
    } finally {
      if (open && !preventCancel) await reader.cancel();
      reader.releaseLock();
    }
  }
}

/** A stream of text, with a report at its end. */
export type TextStream<Report> = AnswerStream<string, Report>;

/** The whole text of a stream. */
export async function collect(stream: TextStream<unknown>): Promise<string> {
  let text = '';
  for await (const piece of stream) text += piece;
  return text;
}
