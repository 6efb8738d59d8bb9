/** Conditional requests and ranges of bytes (RFC 9110, sections 13 and 14), for files that are sent whole or as one range. */

export interface Version {
  readonly size: number;
  /** A strong entity tag, with its quotes. */
  readonly etag: string;
  readonly modified: Date;
}

export type Reply =
  | { readonly status: 200 }
  | { readonly status: 206; readonly start: number; readonly end: number }
  | { readonly status: 304 | 412 | 416 };

const seconds = (date: Date): number => Math.floor(date.getTime() / 1000);

/** A date of HTTP in seconds; undefined where it is none. */
function dateOf(text: string | null): number | undefined {
  const time = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : Math.floor(time / 1000);
}

function listed(list: string, etag: string, weakly: boolean): boolean {
  if (list.trim() === '*') return true;
  return list
    .split(',')
    .map((one) => one.trim())
    .some((one) => one === etag || (weakly && one === `W/${etag}`));
}

/** What a GET or HEAD request gets. `end` is exclusive. */
export function replyTo(headers: Headers, version: Version, method: string): Reply {
  const { etag, modified } = version;
  const match = headers.get('if-match');
  const unmodified = dateOf(headers.get('if-unmodified-since'));
  if (match !== null ? !listed(match, etag, false) : unmodified !== undefined && seconds(modified) > unmodified)
    return { status: 412 };
  const none = headers.get('if-none-match');
  const since = dateOf(headers.get('if-modified-since'));
  if (none !== null ? listed(none, etag, true) : since !== undefined && seconds(modified) <= since)
    return { status: 304 };
  const range = headers.get('range');
  const condition = headers.get('if-range');
  if (range === null || method !== 'GET') return { status: 200 };
  if (condition !== null && condition !== etag && dateOf(condition) !== seconds(modified)) return { status: 200 };
  return rangeOf(range, version.size);
}

/** Several ranges in one request, and what is no range of bytes, get the whole file, as the standard allows. */
export function rangeOf(range: string, size: number): Reply {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/i.exec(range.trim()) ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return { status: 200 };
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? { status: 416 } : { status: 206, start: size - length, end: size };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return { status: 200 };
  if (start >= size) return { status: 416 };
  return { status: 206, start, end: last === '' ? size : Math.min(Number(last) + 1, size) };
}
