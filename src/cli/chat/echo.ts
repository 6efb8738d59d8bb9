import { Writable } from 'node:stream';

/**
 * A terminal's echo that can be silenced: while an answer is written, readline keeps what is typed and shows it with
 * the next prompt.
 */
export class Echo extends Writable {
  muted = false;
  readonly #target: Writable & { readonly columns?: number };

  constructor(target: Writable & { readonly columns?: number }) {
    super();
    this.#target = target;
    target.on('resize', () => this.emit('resize'));
  }

  /** Readline uses it to wrap long lines. */
  get columns(): number {
    return this.#target.columns ?? 80;
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.muted) done();
    else this.#target.write(chunk, done);
  }
}
