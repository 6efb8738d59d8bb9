export interface Share {
  readonly n: number;
  readonly right: number;
  readonly share: number;
  readonly low: number;
  readonly high: number;
}
export function share(right: number, n: number): Share;
export interface Difference {
  readonly n: number;
  readonly won: number;
  readonly lost: number;
  readonly difference: number;
  readonly low: number;
  readonly high: number;
}
export function difference(outcomes: string, base: string): Difference;
