/**
 * SHA-256. Bytes that are there at once are hashed by the platform's own `crypto.subtle`. hash-wasm is fetched for what streams in, which `subtle`
 * cannot hash, and where there is no `subtle`: on pages without a secure context.
 */
import type { IHasher } from 'hash-wasm';

/** The digest of the parts one after another, in hexadecimal digits. */
export async function sha256(...parts: readonly (string | Uint8Array)[]): Promise<string> {
  const bytes = joined(parts);
  const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle;
  if (subtle === undefined) return (await import('./hash-library.ts')).sha256(bytes);
  const digest = new Uint8Array(await subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A hasher for bytes as they arrive; its state can be saved and loaded. */
export async function streamingSha256(): Promise<IHasher> {
  return (await import('./hash-library.ts')).createSHA256();
}

function joined(parts: readonly (string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const all = parts.map((part) => (typeof part === 'string' ? encoder.encode(part) : part));
  const bytes = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of all) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
