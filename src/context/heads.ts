/** Which KV heads keep everything, and which see only the first and the newest keys. */

/** One flag for each layer and KV head. */
export interface HeadTable {
  readonly layers: number;
  readonly kvHeads: number;
  /** [layers * kvHeads]; 1: the head streams, 0: it keeps everything. */
  readonly streams: Uint8Array;
}
