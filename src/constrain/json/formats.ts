/** The formats of strings, as expressions: RFC 3339, 4122, 5321, 3986, 6901 and their kin. Sets are subsets where a standard bounds what no automaton counts. */

const DAY = String.raw`(?:0[1-9]|1\d|2[0-8])`;
const LEAP = String.raw`(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)`;
const DATE = String.raw`(?:\d{4}-(?:(?:0[13578]|1[02])-(?:${DAY}|29|3[01]|30)|(?:0[469]|11)-(?:${DAY}|29|30)|02-${DAY})|${LEAP}-02-29)`;
const TIME = String.raw`(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,20})?(?:[zZ]|[+-](?:[01]\d|2[0-3]):[0-5]\d)`;

/**
 * A label of a host's name, with at most `most` characters. Two hyphens in the third and fourth place announce an encoding (xn--), which no
 * automaton checks: they are left out. At most three long labels, or eight shorter ones: a name has at most 253 characters.
 */
const label = (most: number): string => {
  const [an, any] = ['[a-zA-Z0-9]', '[a-zA-Z0-9\\-]'];
  return `(?:${an}(?:${any}?${an})?|${an}${any}(?:${an}|-)${an}|${an}${any}(?:${an}${any}|-${an})${any}{0,${most - 5}}${an})`;
};
const LONG = label(63);
const SHORT = label(30);
const HOST = String.raw`(?:${LONG}(?:\.${LONG}){0,2}|${SHORT}(?:\.${SHORT}){0,7})`;
const DOMAIN = String.raw`(?:${LONG}(?:\.${LONG}){1,2}|${SHORT}(?:\.${SHORT}){1,7})`;
const MAILBOX = "[a-zA-Z0-9!#$%&'*+/=?^_`\\{\\|\\}~\\-]";

const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = `${BYTE}(?:\\.${BYTE}){3}`;
const GROUP = '[0-9a-fA-F]{1,4}';
const LAST = `(?:${GROUP}:${GROUP}|${IPV4})`;
const IPV6 = [
  `(?:${GROUP}:){6}${LAST}`,
  ...Array.from({ length: 6 }, (_, i) => {
    const before = i === 0 ? '' : `(?:(?:${GROUP}:){0,${i - 1}}${GROUP})?`;
    return `${before}::${i === 5 ? '' : `(?:${GROUP}:){${5 - i}}`}${LAST}`;
  }),
  `(?:(?:${GROUP}:){0,5}${GROUP})?::${GROUP}`,
  `(?:(?:${GROUP}:){0,6}${GROUP})?::`,
].join('|');

const ENCODED = '%[0-9a-fA-F]{2}';
const UNRESERVED = "a-zA-Z0-9\\-._~!$&'\\(\\)*+,;=";
const PCHAR = `(?:[${UNRESERVED}:@]|${ENCODED})`;
const SEGMENT_NC = `(?:[${UNRESERVED}@]|${ENCODED})+`;
const AUTHORITY = `(?:(?:[${UNRESERVED}:]|${ENCODED})*@)?(?:\\[(?:${IPV6})\\]|(?:[${UNRESERVED}]|${ENCODED})*)(?::\\d*)?`;
const ABEMPTY = `(?:/${PCHAR}*)*`;
const ABSOLUTE = `/(?:${PCHAR}+(?:/${PCHAR}*)*)?`;
const TAIL = `(?:\\?(?:${PCHAR}|[/?])*)?(?:#(?:${PCHAR}|[/?])*)?`;
const URI = `[a-zA-Z][a-zA-Z0-9+\\-.]*:(?://${AUTHORITY}${ABEMPTY}|${ABSOLUTE}|${PCHAR}+(?:/${PCHAR}*)*)${TAIL}`;
const RELATIVE = `(?://${AUTHORITY}${ABEMPTY}|${ABSOLUTE}|${SEGMENT_NC}(?:/${PCHAR}*)*|)${TAIL}`;

const POINTER = '(?:/(?:[^~/]|~[01])*)*';
const SECONDS = '\\d{1,9}S';
const MINUTES = `\\d{1,9}M(?:${SECONDS})?`;
const HOURS = `\\d{1,9}H(?:${MINUTES})?`;
const CLOCK = `T(?:${HOURS}|${MINUTES}|${SECONDS})`;
const DAYS = '\\d{1,9}D';
const MONTHS = `\\d{1,9}M(?:${DAYS})?`;
const YEARS = `\\d{1,9}Y(?:${MONTHS})?`;

/** As a whole, with the flag u. */
export const FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: TIME,
  'date-time': `${DATE}[tT]${TIME}`,
  duration: `P(?:(?:${DAYS}|${MONTHS}|${YEARS})(?:${CLOCK})?|${CLOCK}|\\d{1,9}W)`,
  email: `${MAILBOX}+(?:\\.${MAILBOX}+)*@${DOMAIN}`,
  hostname: HOST,
  ipv4: IPV4,
  ipv6: IPV6,
  uri: URI,
  'uri-reference': `(?:${URI}|${RELATIVE})`,
  uuid: '[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}',
  'json-pointer': POINTER,
  'relative-json-pointer': `(?:0|[1-9]\\d{0,9})(?:#|${POINTER})`,
};
