/** Which tokens of an image a prompt reads. Its own file, since only pages that show images need the code. */
import type { PreparedImage } from '../models/vision/vision-model.ts';
import type { VisualChoice, VisualMethod, VisualSelection } from '../select/visual/index.ts';

/** Which tokens of an image are to be read. */
export interface SelectionRequest {
  /** As a session's options give it. */
  readonly choice: VisualMethod | VisualSelection;
  /** The text of the message that shows the image, for methods that depend on it. */
  readonly question?: string | undefined;
  /** How many tokens of each span are kept, and which ones, if known from an earlier selection. */
  readonly counts?: readonly number[] | undefined;
  readonly kept?: Int32Array | undefined;
}

/** The same with the choice checked and its defaults filled in. */
export interface ChosenTokens extends Omit<SelectionRequest, 'choice'> {
  readonly choice: VisualChoice;
}

/**
 * Which tokens of an image are kept. How many are kept of each span is sometimes unknown before the image is encoded:
 * when the method itself decides when to stop, or when several spans share a budget.
 */
export class TokenSelection {
  readonly choice: VisualChoice;
  readonly question: string | undefined;
  /** The content key of the same image with all its tokens. */
  readonly wholeKey: string;
  readonly #spans: PreparedImage['spans'];
  #counts: readonly number[] | undefined;
  #kept: Int32Array | undefined;

  constructor({ choice, question, counts, kept }: ChosenTokens, wholeKey: string, spans: PreparedImage['spans']) {
    this.choice = choice;
    this.question = question;
    this.wholeKey = wholeKey;
    this.#spans = spans;
    this.#counts = counts;
    this.kept = kept;
  }

  /** The number of tokens kept of each span; undefined while unknown. */
  get counts(): readonly number[] | undefined {
    return this.#counts;
  }
  /** Indices of the kept tokens among those of all spans, ascending; undefined before the image was encoded. */
  get kept(): Int32Array | undefined {
    return this.#kept;
  }
  set kept(kept: Int32Array | undefined) {
    this.#kept = kept;
    if (kept === undefined) return;
    let end = 0;
    this.#counts = this.#spans.map(({ tokens }) => {
      const start = end;
      end += tokens;
      return kept.reduce((count, token) => count + Number(token >= start && token < end), 0);
    });
  }
}
