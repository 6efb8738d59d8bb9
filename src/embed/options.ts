/** What callers say when they embed and re-rank, and what they get. */

/** What the texts are for, and how their vectors are made. */
export interface EmbedSettings {
  /**
   * What the texts are for (default 'document'): models that were trained to search put other words before questions than before the texts that
   * are searched.
   */
  readonly kind?: 'query' | 'document' | undefined;
  /** Put before every text in place of what the model has for the kind: a task of one's own, or '' for nothing. */
  readonly prefix?: string | undefined;
  /** Width of the vectors: the first so many values, normalised again (Matryoshka; Kusupati et al. 2022). Default: the model's. */
  readonly dimensions?: number | undefined;
  /**
   * Chat models only, which were not trained to embed: asks the model for the text in one word, with Token Prepending (2412.11556), in place of taking
   * the mean of the text's states.
   */
  readonly prepend?: boolean | undefined;
}

/** What reading the texts took. */
export interface TextsReport {
  /** Of all texts, with what the model has put around them. */
  readonly tokens: number;
  /** Which texts (passages) were longer than the model reads: only their beginning counted. */
  readonly truncated: readonly number[];
}

export interface EmbedResult extends TextsReport {
  /** [texts, dimensions], each row of length 1. */
  readonly vectors: Float32Array;
  readonly dimensions: number;
}

/** A passage's place in a ranking. */
export interface Ranked {
  /** Of the passage, in the list that was given. */
  readonly index: number;
  /** From 0 (does not answer the query) to 1. */
  readonly score: number;
}

export interface RerankResult extends TextsReport {
  /** The best first. */
  readonly ranking: readonly Ranked[];
}
