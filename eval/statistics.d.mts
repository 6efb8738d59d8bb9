export function share(right: number, n: number): { n: number; right: number; share: number; low: number; high: number };
