export type ObjectTriple = number[];
export interface Pixels {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}
export function decode(code: string): ObjectTriple[];
export function encode(objects: readonly ObjectTriple[]): string;
export function same(a: readonly ObjectTriple[], b: readonly ObjectTriple[]): boolean;
export class Scenes {
  constructor(world: unknown);
  render(objects: readonly ObjectTriple[]): Pixels;
  renderWord(word: string): Pixels;
  read(picture: Pixels): ObjectTriple[];
}
