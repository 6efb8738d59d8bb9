/**
 * How a URL is shown and stored. Queries contain access tokens and signatures, and `user:password@` is a secret, so
 * neither may reach a message, a log or the disk; URLs that differ in their query are still distinguished.
 */

/**
 * Returns the URL without user, password, query and fragment, for messages and names. Other names (paths, `hf:...`) are
 * returned unchanged.
 */
export function displayName(address: string): string {
  if (!/^(https?|wss?|ftp|file):/i.test(address)) return address;
  return address.replace(/^([a-z]+:\/*)[^/?#]*@/i, '$1').replace(/[?#].*$/s, '');
}

/** Returns what represents a URL in the store: `displayName`, with a hash of the query if there is one. */
export function storedAddress(address: string): string {
  if (!/^https?:/i.test(address)) return address;
  const query = /\?([^#]*)/s.exec(address)?.[1] ?? '';
  const name = displayName(address);
  // A URL that is stored already is not changed.
  return query === '' ? name : `${name}?${/^~[0-9a-f]{16}$/.test(query) ? query : `~${hash64(query)}`}`;
}

/**
 * Two FNV-1a hashes of 32 bits with different multipliers, as 16 hexadecimal digits. They distinguish URLs; they do not
 * protect against forgery.
 */
function hash64(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x9dc5811c;
  for (let i = 0; i < text.length; i++) {
    a = Math.imul(a ^ text.charCodeAt(i), 0x01000193);
    b = Math.imul(b ^ text.charCodeAt(i), 0x85ebca6b);
    b ^= b >>> 13;
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}
