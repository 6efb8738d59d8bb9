/** Times of day, dates and large numbers in the ways in which people write them, as one form by which they are compared: "a quarter to eleven at night" is 22:45. */
import type { Language } from './content.ts';
import { englishNumber, germanNumber } from './numerals.ts';

/** A text's words, one after the other. */
export interface Words {
  /** In lower case. */
  readonly lower: readonly string[];
  /** Whether nothing but a space, a hyphen or a full stop stands between a word and the one before it. */
  joined(at: number): boolean;
  /** Whether nothing but this stands between a word and the one before it. */
  parted(at: number, mark: string): boolean;
}

interface Counted {
  readonly value: number;
  readonly count: number;
}

const HALF_PAST = 30;
const DAY = 24 * 60;
const PM = /^(?:pm|evening|afternoon|abends|nachmittags|abend|nachmittag)$/;
const AM = /^(?:am|morning|morgens|vormittags|früh|morgen|vormittag)$/;
const NIGHT = /^(?:night|nachts|nacht)$/;
/** Of a night, hours from this one on are those before midnight. */
const EVENING = 6;
const SAYS_WHEN = /^(?:at|by|until|till|um|gegen|bis|ab)$/;
/** Words between a time and the part of the day. */
const BETWEEN = /^(?:in|at|the|am|der)$/;

/** The time of day that begins at a word, as "22:45", and how many words it has. */
export function timeAt(
  words: Words,
  at: number,
  language: Language,
): { readonly time: string; readonly count: number } | undefined {
  const { lower, joined } = words;
  const own = lower[at] ?? '';
  if (own === 'midnight' || own === 'mitternacht') return { time: '0:00', count: 1 };
  if (own === 'noon') return { time: '12:00', count: 1 };
  // "a quarter to eleven"
  if (own === 'a' && lower[at + 1] === 'quarter' && joined(at + 1)) {
    const found = timeAt(words, at + 1, language);
    return found && { ...found, count: found.count + 1 };
  }
  const clock = /^(\d{1,2})([:.])(\d\d)$/.exec(own);
  const relative = clock === null ? relativeTime(words, at) : undefined;
  const hour = relative === undefined && clock === null ? numberAt(words, at) : undefined;
  let minutes = relative?.value ?? (clock ? 60 * Number(clock[1]) + Number(clock[3]) : 60 * (hour?.value ?? NaN));
  if (!(minutes >= 0 && minutes <= DAY) || Number(clock?.[3] ?? 0) > 59) return undefined;
  let count = relative?.count ?? hour?.count ?? 1;
  /** Whether it is known to be a time of day. */
  let known = relative !== undefined || clock?.[2] === ':';
  const follows = (...expected: string[]): boolean =>
    expected.every((word, i) => lower[at + count + i] === word && joined(at + count + i));
  if (follows("o'clock")) {
    known = true;
    count++;
  } else if (follows('uhr')) {
    known = true;
    count++;
    // "elf Uhr dreißig"
    const more = clock === null && relative === undefined ? numberAt(words, at + count) : undefined;
    if (more !== undefined && more.value < 60 && joined(at + count)) {
      minutes += more.value;
      count += more.count;
    }
  }
  // "at ten in the evening"; "ten in the morning" alone may count something else.
  const said = SAYS_WHEN.test(lower[at - 1] ?? '') && joined(at);
  const twelve = minutes < 13 * 60;
  if (twelve && (follows('p', 'm') || follows('a', 'm'))) {
    minutes = half(minutes, lower[at + count] === 'p');
    return { time: written(minutes), count: count + 2 };
  }
  let part = at + count;
  while (part < at + count + 2 && BETWEEN.test(lower[part] ?? '') && joined(part)) part++;
  // "am" is a part of the day in English and stands before one in German.
  if (part > at + count && !isPart(lower[part] ?? '', language)) part = at + count;
  const day = lower[part] ?? '';
  if (twelve && isPart(day, language) && joined(part) && (known || part === at + count || said)) {
    const late = PM.test(day) || (NIGHT.test(day) && Math.floor(minutes / 60) % 12 >= EVENING);
    return { time: written(half(minutes, late)), count: part - at + 1 };
  }
  return known ? { time: written(minutes), count } : undefined;
}

const isPart = (word: string, language: Language): boolean =>
  PM.test(word) || NIGHT.test(word) || (AM.test(word) && !(word === 'am' && language === 'de'));

/** Minutes of a time between 0:00 and 12:59 in the first or second half of the day. */
function half(minutes: number, second: boolean): number {
  return (minutes % (DAY / 2)) + (second ? DAY / 2 : 0);
}

function written(minutes: number): string {
  const rest = minutes % DAY;
  return `${Math.floor(rest / 60)}:${String(rest % 60).padStart(2, '0')}`;
}

function numberAt({ lower, joined }: Words, at: number): Counted | undefined {
  const own = lower[at] ?? '';
  if (/^\d{1,2}$/.test(own)) return { value: Number(own), count: 1 };
  const german = germanNumber(own, true);
  if (german !== undefined) return { value: german, count: 1 };
  return englishNumber(lower, at, joined);
}

const TO = /^(?:to|before|vor)$/;
const PAST = /^(?:past|after|nach)$/;
/** Minutes that are said before or after an hour; other numbers before "to" count something else. */
const SAID = new Set([5, 10, 20, 25]);

/** "half past ten", "quarter to eleven", "ten to eleven", "halb elf", "Viertel vor elf", "dreiviertel elf". */
function relativeTime(words: Words, at: number): Counted | undefined {
  const { lower, joined } = words;
  const own = lower[at] ?? '';
  const hourAt = (place: number): Counted | undefined => {
    const hour = joined(place) ? numberAt(words, place) : undefined;
    return hour !== undefined && hour.value >= 1 && hour.value <= 24 ? hour : undefined;
  };
  const result = (hour: Counted | undefined, minutes: number, before: number): Counted | undefined =>
    hour && { value: (60 * hour.value + minutes + DAY) % DAY, count: before + hour.count };
  if (own === 'half' && lower[at + 1] === 'past' && joined(at + 1)) return result(hourAt(at + 2), HALF_PAST, 2);
  if (own === 'halb') return result(hourAt(at + 1), -HALF_PAST, 1);
  if (own === 'dreiviertel') return result(hourAt(at + 1), -15, 1);
  const quarter = own === 'quarter' || own === 'viertel';
  const minutes = quarter ? { value: 15, count: 1 } : numberAt(words, at);
  if (minutes === undefined || (!quarter && !SAID.has(minutes.value))) return undefined;
  let next = at + minutes.count;
  if (/^(?:minutes?|minuten)$/.test(lower[next] ?? '') && joined(next)) next++;
  const word = lower[next] ?? '';
  if (!joined(next) || !(TO.test(word) || PAST.test(word))) return undefined;
  const hour = hourAt(next + 1);
  const behind = lower[next + 1 + (hour?.count ?? 0)] ?? '';
  // "from ten to eleven" and "10 to 20" are stretches: digits, and minutes in letters, need a word that makes them a time.
  if (
    !quarter &&
    next === at + minutes.count &&
    !/^(?:o'clock|uhr|[ap]m)$/.test(behind) &&
    TO.test(word) &&
    word !== 'vor'
  )
    return undefined;
  return result(hour, TO.test(word) ? -minutes.value : minutes.value, next + 1 - at);
}

const MONTHS: Readonly<Partial<Record<Language, readonly string[]>>> = {
  en: 'january february march april may june july august september october november december'.split(' '),
  de: 'januar februar märz april mai juni juli august september oktober november dezember'.split(' '),
};

/** A part of a date: which one, as a word of the language, and its place within the date's words, or within the only one. */
export interface DatePart {
  readonly text: string;
  readonly word: number;
  readonly from: number;
  readonly to: number;
}

/** The date in digits that begins at a word: 03.04.2021, 2021-04-03, or 13/4/2021 where only one order is possible. */
export function dateAt({ lower, parted }: Words, at: number, language: Language): DatePart[] | undefined {
  const months = MONTHS[language];
  const own = lower[at] ?? '';
  if (months === undefined || !/^\d/.test(own)) return undefined;
  const made = (day: DatePart, month: DatePart, year: DatePart): DatePart[] | undefined => {
    const name = months[Number(month.text) - 1];
    if (name === undefined || !(Number(day.text) >= 1 && Number(day.text) <= 31)) return undefined;
    return [{ ...day, text: String(Number(day.text)) }, { ...month, text: name }, year];
  };
  const points = /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/.exec(own);
  if (points !== null) {
    const [, day = '', month = '', year = ''] = points;
    const second = day.length + 1;
    const third = second + month.length + 1;
    return made(
      { text: day, word: 0, from: 0, to: day.length },
      { text: month, word: 0, from: second, to: second + month.length },
      { text: year, word: 0, from: third, to: third + 4 },
    );
  }
  const mark = parted(at + 1, '-') ? '-' : '/';
  const [, second = '', third = ''] = lower.slice(at, at + 3);
  if (!parted(at + 1, mark) || !parted(at + 2, mark) || !/^\d{1,2}$/.test(second)) return undefined;
  const part = (text: string, word: number): DatePart => ({ text, word, from: 0, to: text.length });
  if (/^\d{4}$/.test(own) && /^\d{1,2}$/.test(third)) return made(part(third, 2), part(second, 1), part(own, 0));
  if (mark !== '/' || !/^\d{1,2}$/.test(own) || !/^\d{4}$/.test(third)) return undefined;
  if (Number(own) > 12) return made(part(own, 0), part(second, 1), part(third, 2));
  return Number(second) > 12 ? made(part(second, 1), part(own, 0), part(third, 2)) : undefined;
}

const LARGE: Readonly<Record<string, number>> = {
  million: 1e6,
  millions: 1e6,
  millionen: 1e6,
  mio: 1e6,
  milliarde: 1e9,
  milliarden: 1e9,
  mrd: 1e9,
};

/** By how much a number is multiplied by the word behind it; 1 by most words. */
export function largeness(word: string, language: Language): number {
  if (/^billion(?:s|en)?$/.test(word)) return language === 'de' ? 1e12 : 1e9;
  return LARGE[word] ?? 1;
}

/**
 * Other forms of a number or time, one of which a text may have where it does not have the first: a question may leave out whether a time is in the evening, and a text
 * that "22" is a time.
 */
function otherForms(term: string): string[] {
  const [, hour = '', minutes = ''] = /^(\d{1,2})(?::(\d\d))?$/.exec(term) ?? [];
  if (hour === '' || Number(hour) > 24) return [];
  const other = Number(hour) + (Number(hour) < 12 ? 12 : -12);
  const late = [`${other}:${minutes === '' ? '00' : minutes}`];
  if (minutes === '') return [`${Number(hour)}:00`, ...late];
  return minutes === '00' ? [...late, hour] : late;
}

/** A term in the form in which a text has it; as it is where the text has none. */
export function knownForm(term: string, has: (term: string) => boolean): string {
  const others = otherForms(term);
  return others.length === 0 || has(term) ? term : (others.find(has) ?? term);
}
