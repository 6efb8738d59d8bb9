/** Runs one kind of fuzzer and counts what comes out. Every case has a seed of its own, so that one can be run again alone. */
import { OctavoError } from '../../src/errors.ts';
import { random, type Random } from '../support/random.ts';

export interface Fuzzer {
  /** Resolves with what became of the case; throws typed errors as the product does, `Wrong` for a wrong result. */
  run(r: Random): Promise<string>;
  close?(): Promise<void>;
}

/** A result that is not what it must be: neither right nor refused. */
export class Wrong extends Error {
  override readonly name = 'Wrong';
}

export interface Report {
  readonly kind: string;
  readonly cases: number;
  readonly seconds: number;
  readonly outcomes: Readonly<Record<string, number>>;
  /** Untyped errors and wrong results, the first of them with their case. */
  readonly failures: readonly { readonly case: number; readonly problem: string }[];
}

export interface RunOptions {
  readonly count: number;
  readonly seed: number;
  /** The first case. */
  readonly from?: number;
  /** Hears of a case before it runs, for the watchdog. */
  readonly onCase?: (number: number) => void;
}

/** More are counted, not shown. */
const SHOWN = 20;

export async function fuzz(
  kind: string,
  create: () => Promise<Fuzzer>,
  { count, seed, from = 0, onCase }: RunOptions,
): Promise<Report> {
  const outcomes: Record<string, number> = {};
  const failures: { case: number; problem: string }[] = [];
  const begun = performance.now();
  const fuzzer = await create();
  try {
    for (let number = from; number < from + count; number++) {
      onCase?.(number);
      let outcome: string;
      try {
        outcome = await fuzzer.run(random(Math.imul(seed + 1, 0x9e3779b1) ^ number));
      } catch (fault) {
        if (fault instanceof OctavoError) outcome = `${fault.name} ${fault.code}`;
        else {
          outcome = fault instanceof Wrong ? 'WRONG RESULT' : 'UNTYPED ERROR';
          if (failures.length < SHOWN)
            failures.push({
              case: number,
              problem: fault instanceof Error ? (fault.stack ?? fault.message) : String(fault),
            });
        }
      }
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  } finally {
    await fuzzer.close?.();
  }
  return { kind, cases: count, seconds: (performance.now() - begun) / 1000, outcomes, failures };
}
