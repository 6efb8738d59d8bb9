/** Schemes by which browsers serve no pages, or pages that cannot read by them. */
const OTHERS: readonly string[] = ['http:', 'https:', 'file:', 'blob:', 'data:', 'about:'];

/** Whether the page, or the worker's script, comes by this scheme of its app's own, so that `fetch` reads it. */
export function isOwnScheme(protocol: string): boolean {
  return globalThis.location?.protocol === protocol && !OTHERS.includes(protocol);
}
