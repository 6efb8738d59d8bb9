/** A painting or an edit that is under way, as it is kept: with the package's checkpoint it goes on after a reload from the rounds that were done. */
import type { PaintCheckpoint } from 'octavo';
import type { Pixels } from '../pictures/raster.ts';
import { isRecord, Shelf } from '../store/shelf.ts';

export interface Request {
  readonly kind: 'paint' | 'edit';
  readonly words: string;
  readonly seed: number;
  readonly count: number;
  /** Undefined: as the model says. */
  readonly size?: number | undefined;
  readonly steps?: number | undefined;
  readonly guidance?: number | undefined;
  /** The id of the picture to edit. */
  readonly from?: string | undefined;
}

export interface Job {
  readonly id: string;
  readonly request: Request;
  readonly fingerprint: string;
  readonly checkpoint: PaintCheckpoint | undefined;
  /** Ids of the finished pictures. */
  readonly done: readonly string[];
  /** What was last seen of the unfinished one. */
  readonly preview: Pixels | undefined;
}

function isJob(value: unknown): value is Job {
  return (
    isRecord(value) &&
    typeof value['id'] === 'string' &&
    isRecord(value['request']) &&
    typeof value['request']['words'] === 'string' &&
    Array.isArray(value['done'])
  );
}

const shelf = new Shelf<Job>('work', isJob);
/** One at a time: a device paints one picture after the other. */
const NOW = 'now';

export const keptJob = (): Promise<Job | undefined> => shelf.get(NOW);
export const keepJob = (job: Job): Promise<void> => shelf.put(NOW, job);
export const forgetJob = (): Promise<void> => shelf.remove(NOW);

/** Which tokens of the unfinished picture are there: the others are zero in every channel. */
export function knownCells({ tokens }: PaintCheckpoint, cells: number): Uint8Array {
  const channels = tokens.length / cells;
  return Uint8Array.from({ length: cells }, (_, cell) =>
    tokens.subarray(cell * channels, (cell + 1) * channels).some((value) => value !== 0) ? 1 : 0,
  );
}
