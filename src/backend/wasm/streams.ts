/**
 * How a product of one token reads its weights: four tiles of rows side by side, or one after the other
 * (assembly/kernels/matmul/gemv.ts). An Intel core reads faster from several places in turn, an AMD Zen 5 core three
 * times more slowly, and nothing but the clock tells which. So the first large products are timed, every weight once
 * either way, and the way that was faster for more of them stays. The results have the same bits.
 */

/** Weight bytes of a product that is timed: more than a second-level cache holds. */
const LARGE = 1 << 20;
/** Weights that are compared. */
const PAIRS = 16;

/** As `matmul` takes them: as many as there are, or one. */
type Way = 0 | 1;

export class Streams {
  readonly #now: () => number;
  #chosen: Way | undefined;
  /** What the next weight begins with; half of the weights begin with either. */
  #turn: Way = 0;
  /** The first time of each weight that has one. */
  readonly #first = new Map<number, { readonly way: Way; readonly time: number }>();
  #pairs = 0;
  /** Weights that were faster one after the other, less those that were slower. */
  #lead = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Runs a product of the weights at `address`, which is told how to read them. */
  run(address: number, bytes: number, product: (way: Way) => void): void {
    if (this.#chosen !== undefined || bytes < LARGE) {
      product(this.#chosen ?? 0);
      return;
    }
    const first = this.#first.get(address);
    const way = (first?.way ?? this.#turn) === 0 ? 1 : 0;
    const begun = this.#now();
    product(way);
    const time = this.#now() - begun;
    if (first === undefined) {
      this.#turn = way;
      this.#first.set(address, { way, time });
      return;
    }
    this.#first.delete(address);
    this.#lead += Math.sign(way === 1 ? first.time - time : time - first.time);
    this.#pairs++;
    if (this.#pairs < PAIRS) return;
    this.#chosen = this.#lead > 0 ? 1 : 0;
    this.#first.clear();
  }
}
