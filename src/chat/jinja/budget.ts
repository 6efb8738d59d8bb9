/** Bounds what a template may compute: it comes from a file, and a few lines of Jinja can loop for hours or fill the memory. */
import { TemplateError } from './error.ts';

/** Evaluated expressions and statements, and elements of lists that are made. A long conversation needs some hundred thousand; this takes about a second. */
const MOST_STEPS = 4_000_000;
/** Characters of all strings that are made on the way, beside `CHARACTERS_PER_INPUT` for each character of the messages. */
const MOST_CHARACTERS = 1 << 25;
const CHARACTERS_PER_INPUT = 64;

export class Budget {
  #steps = MOST_STEPS;
  readonly #most: number;
  #characters: number;

  /** `input`: characters of the messages and other values that the template is given. */
  constructor(input: number) {
    this.#most = MOST_CHARACTERS + CHARACTERS_PER_INPUT * input;
    this.#characters = this.#most;
  }

  spend(steps = 1): void {
    this.#steps -= steps;
    if (!(this.#steps >= 0)) throw new TemplateError(`it takes more than ${MOST_STEPS} steps; it may loop without end`);
  }

  grow(characters: number): void {
    this.#characters -= characters;
    if (!(this.#characters >= 0)) throw new TemplateError(`it makes more than ${this.#most} characters of text`);
  }
}
