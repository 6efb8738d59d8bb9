/** Words as they are indexed: lower case, without the letters that inflection adds, without the words that every text has. */
import type { Language } from './content.ts';
import { ENGLISH_ORDINALS, englishNumber, germanNumber, germanOrdinal } from './numerals.ts';
import { RAISED_DIGITS, RAISED_LETTERS } from './raised.ts';
import { dateAt, largeness, timeAt, type Words } from './times.ts';

const STOP: Readonly<Record<Language, ReadonlySet<string>>> = {
  en: new Set(
    'a about above after again all also am an and any are as at be because been before being below between both but by can could did do does doing down during each few for from further had has have having he her here hers him his how i if in into is it its itself just me more most my no nor not now of off on once only or other our out over own same she should so some such than that the their them then there these they this those through to too under until up very was we were what when where which while who whom whose why will with would you your many much'.split(
      ' ',
    ),
  ),
  de: new Set(
    'aber alle allem allen aller alles als also am an andere anderen auch auf aus bei beim bin bis bist da damit dann das dass daß dein dem den denn der des dessen deren dich die dies diese diesem diesen dieser dieses dir doch dort du durch ein eine einem einen einer eines er es etwas euch für gegen gewesen hab habe haben hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist jede jedem jeden jeder jedes jetzt kann kein keine keinem keinen keiner können könnte machen man mehr mein mit muss nach nicht nichts noch nun nur ob oder ohne sehr sein seine seinem seinen seiner seit sich sie sind so solche soll sondern sonst über um und uns unter viel vom von vor war waren was weg weil welche welchem welchen welcher welches wenn wer werde werden wie wieder will wir wird wirst wo wohin worden wurde wurden zu zum zur zwar zwischen wann warum wieviel viele wen wem wessen'.split(
      ' ',
    ),
  ),
  other: new Set<string>(),
};

export function isStopWord(word: string, language: Language): boolean {
  return STOP[language].has(word);
}

/**
 * Letters and digits; a number keeps its separators, a word its inner apostrophes. An exponent is a word of its own ("10²" as "10^2", "xⁿ" as "x^n"); behind a longer
 * word raised digits and letters are the mark of a footnote, and no word.
 */
const RAISED = `${RAISED_DIGITS}${RAISED_LETTERS}`;
const LETTER = `(?:[^\\P{L}${RAISED_LETTERS}]|\\p{M})`;
const WORD = new RegExp(
  `\\p{Nd}+(?:[.,:]\\p{Nd}+)*|${LETTER}+(?:['’]${LETTER}+)*|(?<!\\p{L}{4}[${RAISED}]{0,3})[${RAISED}]+|[^\\P{N}${RAISED_DIGITS}]+`,
  'gu',
);

export interface Word {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

export function wordsOf(text: string): Word[] {
  return Array.from(text.matchAll(WORD), (match) => ({
    text: match[0],
    start: match.index,
    end: match.index + match[0].length,
  }));
}

/** What parts the digits of a number into thousands. */
const GROUPS = /(?<=\d),(?=\d{3}(?!\d))/g;
const GROUPS_DE = /(?<=\d)[.,](?=\d{3}(?!\d))/g;

/** A word as it is indexed; letters of scripts without spaces between words are indexed by pairs elsewhere. */
export function stem(word: string, language: Language): string {
  const lower = word.normalize('NFKC').toLowerCase().replaceAll('’', "'");
  if (/\d/.test(lower)) return lower.replace(language === 'de' ? GROUPS_DE : GROUPS, '');
  if (language === 'en') return english(lower);
  if (language === 'de') return german(lower);
  return lower.normalize('NFD').replace(/\p{M}+/gu, '');
}

// Porter's algorithm (1980), by his rules: m counts the changes from vowels to consonants.
const C = '[^aeiou]';
const V = '[aeiouy]';
const CS = `${C}[^aeiouy]*`;
const VS = `${V}[aeiou]*`;
const M0 = new RegExp(`^(?:${CS})?${VS}${CS}`);
const M1 = new RegExp(`^(?:${CS})?${VS}${CS}(?:${VS})?$`);
const M2 = new RegExp(`^(?:${CS})?${VS}${CS}${VS}${CS}`);
const HAS_VOWEL = new RegExp(`^(?:${CS})?${V}`);
const SHORT = new RegExp(`^${CS}${V}[^aeiouwxy]$`);
const STEP2: Readonly<Record<string, string>> = {
  ational: 'ate',
  tional: 'tion',
  enci: 'ence',
  anci: 'ance',
  izer: 'ize',
  bli: 'ble',
  alli: 'al',
  entli: 'ent',
  eli: 'e',
  ousli: 'ous',
  ization: 'ize',
  ation: 'ate',
  ator: 'ate',
  alism: 'al',
  iveness: 'ive',
  fulness: 'ful',
  ousness: 'ous',
  aliti: 'al',
  iviti: 'ive',
  biliti: 'ble',
  logi: 'log',
};
const STEP3: Readonly<Record<string, string>> = {
  icate: 'ic',
  ative: '',
  alize: 'al',
  iciti: 'ic',
  ical: 'ic',
  ful: '',
  ness: '',
};
const STEP2_END = new RegExp(`^(.+?)(${Object.keys(STEP2).join('|')})$`);
const STEP3_END = new RegExp(`^(.+?)(${Object.keys(STEP3).join('|')})$`);
const STEP4_END = /^(.+?)(al|ance|ence|er|ic|able|ible|ant|ement|ment|ent|ou|ism|ate|iti|ous|ive|ize)$/;

function english(given: string): string {
  let word = given.replace(/'s?$/, '').replaceAll("'", '');
  if (word.length < 3 || !/^[a-z]+$/.test(word)) return word.normalize('NFD').replace(/\p{M}+/gu, '');
  if (word.startsWith('y')) word = `Y${word.slice(1)}`;
  word = word.replace(/^(.+?)(ss|i)es$/, '$1$2').replace(/^(.+?)([^s])s$/, '$1$2');
  const eed = /^(.+?)eed$/.exec(word);
  const ing = /^(.+?)(ed|ing)$/.exec(word);
  if (eed !== null) {
    if (M0.test(eed[1] ?? '')) word = word.slice(0, -1);
  } else if (ing !== null && HAS_VOWEL.test(ing[1] ?? '')) {
    word = ing[1] ?? '';
    if (/(?:at|bl|iz)$/.test(word)) word += 'e';
    else if (/([^aeiouylsz])\1$/.test(word)) word = word.slice(0, -1);
    else if (SHORT.test(word)) word += 'e';
  }
  const y = /^(.+?)y$/.exec(word);
  if (y !== null && HAS_VOWEL.test(y[1] ?? '')) word = `${y[1] ?? ''}i`;
  const [, before2 = '', end2 = ''] = STEP2_END.exec(word) ?? [];
  if (end2 !== '' && M0.test(before2)) word = before2 + (STEP2[end2] ?? '');
  const [, before3 = '', end3 = ''] = STEP3_END.exec(word) ?? [];
  if (end3 !== '' && M0.test(before3)) word = before3 + (STEP3[end3] ?? '');
  const [, before4 = ''] = STEP4_END.exec(word) ?? /^(.+?[st])(?:ion)$/.exec(word) ?? [];
  if (before4 !== '' && M2.test(before4)) word = before4;
  const e = /^(.+?)e$/.exec(word)?.[1];
  if (e !== undefined && (M2.test(e) || (M1.test(e) && !SHORT.test(e)))) word = e;
  if (word.endsWith('ll') && M2.test(word)) word = word.slice(0, -1);
  return word.toLowerCase();
}

/** CISTEM (Weissweiler and Fraser 2017), without regard to case. */
function german(given: string): string {
  let word = given.replace(/ü/g, 'u').replace(/ö/g, 'o').replace(/ä/g, 'a').replaceAll('ß', 'ss').replaceAll("'", '');
  word = word.normalize('NFD').replace(/\p{M}+/gu, '');
  word = word.replace(/^ge(?=.{4})/, '');
  // Digraphs count as one letter, and so do double letters.
  word = word.replaceAll('sch', '$').replaceAll('ei', '%').replaceAll('ie', '&').replace(/(.)\1/g, '$1*');
  while (word.length > 3) {
    const shorter =
      word.length > 5 && /(?:em|er|nd)$/.test(word)
        ? word.slice(0, -2)
        : /[tens]$/.test(word)
          ? word.slice(0, -1)
          : undefined;
    if (shorter === undefined) break;
    word = shorter;
  }
  return word.replace(/(.)\*/g, '$1$1').replaceAll('&', 'ie').replaceAll('%', 'ei').replaceAll('$', 'sch');
}

/** A word, or the words of one number, with the stem by which it is compared. */
export interface Term extends Word {
  readonly stem: string;
}

/** How an English ordinal ends that is written in digits. */
const ORDINAL_END = /^(?:st|nd|rd|th)$/i;

/**
 * The words of a text as they are compared: numbers in letters are digits ("two hundred", "fünf"). An ordinal in digits, and a German one in letters, is there as its
 * number and as its word, since dates have either.
 */
export function termsOf(text: string, language: Language): Term[] {
  const words = wordsOf(text);
  const lower = words.map((word) => word.text.toLowerCase());
  /** Whether nothing but a space or a hyphen stands between a word and the one before it. */
  const between = (at: number): string => text.slice(words[at - 1]?.end ?? 0, words[at]?.start ?? text.length);
  const joined = (at: number): boolean => at < words.length && /^[\s\u2010-]$/u.test(between(at));
  const parted = (at: number, mark: string): boolean => between(at).replaceAll(/[\u2010\u2011]/gu, '-') === mark;
  const parts: Words = { lower, joined: (at) => at < words.length && /^[\s\u2010.-]?$/u.test(between(at)), parted };
  const largeAt = (at: number): number => (joined(at) ? largeness(lower[at] ?? '', language) : 1);
  const terms: Term[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    const own = lower[at];
    if (word === undefined || own === undefined) break;
    const add = (key: string, count = 1): void => {
      const end = words[at + count - 1]?.end ?? word.end;
      terms.push({ text: text.slice(word.start, end), start: word.start, end, stem: key });
    };
    const date = dateAt(parts, at, language);
    if (date !== undefined) {
      for (const { text: part, word: which, from, to } of date) {
        const start = (words[at + which]?.start ?? 0) + from;
        const end = (words[at + which]?.start ?? 0) + to;
        terms.push({ text: text.slice(start, end), start, end, stem: stem(part, language) });
      }
      at += Math.max(...date.map(({ word: which }) => which));
      continue;
    }
    const time = timeAt(parts, at, language);
    if (time !== undefined) {
      add(time.time, time.count);
      at += time.count - 1;
      continue;
    }
    const number = englishNumber(lower, at, joined);
    if (number !== undefined) {
      add(String(number.value * largeAt(at + number.count)), number.count);
      at += number.count - 1;
      continue;
    }
    const next = words[at + 1];
    const large = /^\d[\d.,]*$/.test(own) ? largeAt(at + 1) : 1;
    if (large > 1) {
      add(String(Math.round(decimal(stem(own, language)) * large)));
      continue;
    }
    if (/^\d+$/.test(own) && next?.start === word.end && ORDINAL_END.test(next.text)) {
      add(own, 2);
      const ordinal = ENGLISH_ORDINALS[Number(own)] ?? '';
      if (ordinal !== '') add(stem(ordinal, language), 2);
      at++;
      continue;
    }
    // "½" is there as "1/2" is.
    const fraction = own.length === 1 ? own.normalize('NFKC').split('\u2044') : [];
    if (fraction.length === 2) {
      for (const number of fraction) add(number);
      continue;
    }
    const german = germanNumber(own, language === 'de');
    const ordinal = language === 'de' ? germanOrdinal(own) : undefined;
    if (ordinal !== undefined) add(String(ordinal));
    add(german === undefined ? stem(own, language) : String(german * largeAt(at + 1)));
  }
  return terms;
}

/** A number with a decimal point or comma. */
const decimal = (number: string): number => Number(number.replace(',', '.'));

/** What asks for a number behind "how" and "wie", and seldom stands beside it: "Wie hoch ist die Miete?" */
const DEGREE = new Set(
  'big broad deep far heavy high large long old tall thick wide alt breit dick groß hoch lang schwer tief teuer weit'.split(
    ' ',
  ),
);

/** Whether a word of a question only asks; in documents of unknown language those of both languages do. */
function isAsking(word: string, before: string | undefined, language: Language): boolean {
  if ((before === 'how' || before === 'wie') && DEGREE.has(word)) return true;
  return language === 'other' && (STOP.en.has(word) || STOP.de.has(word));
}

/** What a question calls a time of day or a unit that a text writes as a sign. */
const CALLED: Readonly<Partial<Record<Language, Readonly<Record<string, string>>>>> = {
  en: { time: 'time hour', '%': 'percent', '€': 'euro', $: 'dollar', '£': 'pound', '°': 'degree' },
  de: { time: 'Uhrzeit Zeit Uhr', '%': 'Prozent', '€': 'Euro', $: 'Dollar', '£': 'Pfund', '°': 'Grad' },
};

function called({ stem: key, start, end }: Term, text: string, language: Language): string[] {
  if (!/^\d/.test(key)) return [];
  const behind = /^\s?([%€$£°])/u.exec(text.slice(end, end + 2))?.[1];
  const sign = behind ?? /([€$£])\s?$/u.exec(text.slice(Math.max(0, start - 2), start))?.[1];
  const words = CALLED[language]?.[/^\d{1,2}:\d\d$/.test(key) ? 'time' : (sign ?? '')];
  return words === undefined ? [] : words.split(' ').map((word) => stem(word, language));
}

/** What a question calls an address of mail or of a page, which a text seldom calls anything. */
const ADDRESSES: readonly (readonly [form: RegExp, words: Readonly<Record<Language, string>>])[] = [
  [/[\p{L}\p{N}_]@[\p{L}\p{N}-]+\.\p{L}{2}/u, { en: 'email mail', de: 'Email Mail Mailadresse', other: 'email mail' }],
  [
    /https?:\/\/[\p{L}\p{N}]|(?<![\p{L}\p{N}])www\.[\p{L}\p{N}]/iu,
    {
      en: 'website web link url site',
      de: 'Website Webseite Web Internetseite Link URL',
      other: 'website web link url',
    },
  ],
];

/**
 * The stems of a text, without stop words; scripts without spaces give pairs of letters. Of a text that is searched, a time is there as what it is called, too, and so are
 * a unit that is a sign and an address; of a question (`asked`) they are not, since what is called so need not be what was asked for.
 */
export function stemsOf(text: string, language: Language, asked = false): string[] {
  const stems: string[] = [];
  const terms = termsOf(text, language);
  for (const [form, words] of asked ? [] : ADDRESSES)
    if (form.test(text)) stems.push(...words[language].split(' ').map((word) => stem(word, language)));
  for (const [i, term] of terms.entries()) {
    const { text: word, stem: key, start } = term;
    // Of a German ordinal only the word: its number is that of too many others to find anything by.
    if (terms[i + 1]?.start === start && !/\p{N}/u.test(word)) continue;
    if (/[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]/u.test(word)) {
      const letters = [...word];
      if (letters.length === 1) stems.push(word);
      for (let i = 0; i + 1 < letters.length; i++) stems.push(`${letters[i] ?? ''}${letters[i + 1] ?? ''}`);
      continue;
    }
    const asks = asked && isAsking(word.toLowerCase(), terms[i - 1]?.text.toLowerCase(), language);
    if (!asks && !isStopWord(word.toLowerCase(), language))
      stems.push(...(asked ? [] : called(term, text, language)), key);
  }
  return stems;
}
