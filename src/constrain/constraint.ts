/** What an answer may consist of, token by token: a grammar, a schema, a list of tools. Made in the engine for one answer, and used up by it. */
export interface Constraint {
  /**
   * The ids that may come next, among them ids that end the answer where it may end: bit i & 31 of word i >> 5, for all ids of the vocabulary. Read
   * before the next `accept`. At least one id, unless `done`.
   */
  mask(): Uint32Array;
  /** Advances by an id that was drawn; false, without advancing, for one that may not come here. */
  accept(id: number): boolean;
  /** Whether nothing may follow: the answer ends without another token. */
  readonly done: boolean;
}
