/** Retries: which failures of the network may be temporary, how long to wait, and when to give up. */
import { StorageError } from '../errors.ts';
import { displayName } from '../store/address.ts';
import { abortable } from './byte-source.ts';

export interface RetryPolicy {
  /** Tries without a byte of progress before giving up. */
  readonly attempts: number;
  /** Milliseconds before try n (from 1). */
  readonly delay: (attempt: number) => number;
  /** Milliseconds without a byte after which a connection counts as broken. */
  readonly stall: number;
}

export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 5,
  delay: (attempt) => 500 * 2 ** (attempt - 1) * (0.75 + Math.random() / 2),
  stall: 60_000,
};

/**
 * A failure of the connection that may be temporary. `wait`: how long the server asks to wait, in milliseconds; `attempts`: the most
 * tries that are worthwhile for this failure.
 */
export class Break {
  readonly cause: unknown;
  readonly problem: string;
  readonly wait: number | undefined;
  readonly attempts: number;
  constructor(problem: string, cause?: unknown, wait?: number, attempts = Infinity) {
    this.problem = problem;
    this.cause = cause;
    this.wait = wait;
    this.attempts = attempts;
  }
}

/**
 * Runs `attempt` until it returns. After a `Break` it waits and tries again; it gives up after `retry.attempts` tries in which
 * `progress` stood still.
 */
export async function withRetries<T>(
  url: string,
  retry: RetryPolicy,
  signal: AbortSignal | undefined,
  progress: () => number,
  attempt: () => Promise<T>,
): Promise<T> {
  let tries = 0;
  let reached = progress();
  for (;;) {
    try {
      return await attempt();
    } catch (fault) {
      if (!(fault instanceof Break)) throw fault;
      tries = progress() > reached ? 0 : tries + 1;
      reached = progress();
      if (tries >= Math.min(retry.attempts, fault.attempts)) {
        const name = displayName(url);
        throw new StorageError(
          'network',
          `${name}: ${fault.problem}; gave up after ${tries} tries${reached > 0 ? ` at byte ${reached}. Where there is a store, the bytes received are kept: load again to continue` : ': check the network and the address'}`,
          { url: name, tries, loaded: reached },
          { cause: fault.cause },
        );
      }
      await sleep(fault.wait ?? retry.delay(Math.max(1, tries)), signal);
    }
  }
}

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return abortable(
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    }),
    signal,
  ).finally(() => clearTimeout(timer));
}
