/**
 * Numbers in letters below a million, English and German, so that "five" and "fünf" are found as "5". Words of both languages are known in every text, since an
 * answer is not always in the language of its document.
 */

const ENGLISH = new Map(
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'
    .split(' ')
    .map((word, value) => [word, value]),
);
for (const [i, word] of 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ').entries())
  ENGLISH.set(word, 10 * (i + 2));

const GERMAN = new Map(
  'null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn'
    .split(' ')
    .map((word, value) => [word, value]),
);
const GERMAN_UNITS = [...GERMAN].slice(1, 10);
for (const [i, ten] of 'zwanzig dreissig vierzig fünfzig sechzig siebzig achtzig neunzig'.split(' ').entries()) {
  GERMAN.set(ten, 10 * (i + 2));
  for (const [unit, value] of GERMAN_UNITS) GERMAN.set(`${unit}und${ten}`, 10 * (i + 2) + value);
}
GERMAN.set('eins', 1).set('zwo', 2);

/** By their number; 0 has none. */
export const ENGLISH_ORDINALS: readonly string[] =
  ' first second third fourth fifth sixth seventh eighth ninth tenth'.split(' ');
const GERMAN_ORDINALS = new Map(
  'erste zweite dritte vierte fünfte sechste siebte achte neunte zehnte'.split(' ').map((word, i) => [word, i + 1]),
);

/** How all German numbers begin: most words are none. */
const GERMAN_BEGINNING = /^(?:null|eins|einund|zw|dr[ei]|vier|fünf|s[ei]|acht|neun|zehn|elf|hundert|tausend)/u;
/** What is another word in other languages. */
const GERMAN_ONLY = new Set(['elf', 'null']);

/** The number that a German word is: "zweihundertfünf". An article ("ein") is none. */
export function germanNumber(word: string, ofGermanText: boolean): number | undefined {
  if (!GERMAN_BEGINNING.test(word) || (!ofGermanText && GERMAN_ONLY.has(word))) return undefined;
  const [before, after] = parted(word.replaceAll('ß', 'ss'), 'tausend');
  if (after === undefined) return germanHundreds(before);
  const thousands = before === '' ? 1 : germanHundreds(before);
  const rest = after === '' ? 0 : germanHundreds(after.replace(/^und/, ''));
  return thousands === undefined || rest === undefined ? undefined : 1000 * thousands + rest;
}

/** Years count hundreds beyond nine: "neunzehnhundertachtzig". */
function germanHundreds(word: string): number | undefined {
  const [before, after] = parted(word, 'hundert');
  if (after === undefined) return GERMAN.get(word);
  const hundreds = before === '' ? 1 : GERMAN.get(before);
  const rest = after === '' ? 0 : GERMAN.get(after.replace(/^und/, ''));
  return hundreds === undefined || hundreds > 19 || rest === undefined ? undefined : 100 * hundreds + rest;
}

function parted(word: string, mark: string): [before: string, after: string | undefined] {
  const at = word.indexOf(mark);
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + mark.length)];
}

/** The number of a German ordinal in one of its forms: "fünften" is 5. */
export function germanOrdinal(word: string): number | undefined {
  return GERMAN_ORDINALS.get(word.replace(/e[mnrs]$/, 'e'));
}

/**
 * The English number that begins at a word, and how many words it has: "two hundred and five". `joined` says whether a word follows the one before it within one
 * number, with a space or a hyphen between them.
 */
export function englishNumber(
  words: readonly string[],
  first: number,
  joined: (at: number) => boolean,
): { readonly value: number; readonly count: number } | undefined {
  /** Thousands that are complete, and what is counted behind them. */
  let thousands = 0;
  let value = 0;
  /** What may still be added is smaller. */
  let below = Number.POSITIVE_INFINITY;
  let count = 0;
  for (let at = first; at === first || joined(at); at++) {
    const word = words[at] ?? '';
    const simple = ENGLISH.get(word);
    if (simple !== undefined && simple < below && (simple > 0 || at === first)) {
      value += simple;
      below = simple < 20 ? 1 : 10;
    } else if (word === 'hundred' && value < 100 && below !== 100) {
      value = 100 * Math.max(1, value);
      below = 100;
    } else if (word === 'thousand' && thousands === 0 && value < 1000) {
      thousands = 1000 * Math.max(1, value);
      value = 0;
      below = 1000;
    } else if (word === 'and' && (below === 100 || below === 1000)) continue;
    else break;
    count = at - first + 1;
  }
  return count === 0 ? undefined : { value: thousands + value, count };
}
