/**
 * How an address is shown and stored. Queries hold access tokens and signatures, and `user:password@` is a secret, so neither may reach a
 * message, a log or the disk; addresses that differ in their query are still told apart.
 */

/** For messages and names: the address without user, password, query and fragment. Other names (paths, `hf:...`) are returned as they are. */
export function displayName(address: string): string {
  if (!/^(https?|wss?|ftp|file):/i.test(address)) return address;
  return address.replace(/^([a-z]+:\/*)[^/?#]*@/i, '$1').replace(/[?#].*$/s, '');
}

/** What stands for an address in the store: `displayName`, with a hash of the query where there is one. */
export function storedAddress(address: string): string {
  if (!/^https?:/i.test(address)) return address;
  const query = /\?([^#]*)/s.exec(address)?.[1] ?? '';
  const name = displayName(address);
  // An address that is stored already stays as it is.
  return query === '' ? name : `${name}?${/^~[0-9a-f]{16}$/.test(query) ? query : `~${hash64(query)}`}`;
}

/** Two FNV-1a hashes of 32 bits with different multipliers, as 16 hexadecimal digits. It tells addresses apart; it does not protect against forgery. */
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
