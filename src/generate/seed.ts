/** Seeds of other interfaces, where any integer is one: the 32 bits of it that count here, from 0 on. */
export function seed32(seed: number): number {
  return ((seed % 2 ** 32) + 2 ** 32) % 2 ** 32;
}
