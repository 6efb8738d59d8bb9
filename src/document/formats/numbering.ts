/** Numbers of Word's lists and headings: what `numbering.xml` says of them, counted while the paragraphs are read. */
import { xmlEvents } from './xml.ts';

interface Level {
  start: number;
  format: string;
  /** The label, in which `%1` stands for the number of the first level. */
  text: string;
  /** Whether numbers of all levels are in digits. */
  digits: boolean;
}

interface Numbers {
  readonly list: string;
  /** Where the numbers of a level begin anew, by level. */
  readonly starts: ReadonlyMap<number, number>;
}

/** A paragraph's place in a list. */
export interface Place {
  readonly number: string;
  readonly level: number;
}

/** Levels that Word knows. */
const LEVELS = 9;
/** A larger number is a mistake, and would make a label too long in letters or Roman digits. */
const LARGEST = 9999;

export class Numbering {
  readonly #lists = new Map<string, Level[]>();
  readonly #numbers = new Map<string, Numbers>();
  /** Of each list, the last number of each level. */
  readonly #counts = new Map<string, (number | undefined)[]>();
  /** Lists whose numbers have begun anew for one of their uses. */
  readonly #begun = new Set<string>();

  constructor(xml: string) {
    let list: Level[] = [];
    let level: Level | undefined;
    let number = '';
    let starts = new Map<number, number>();
    let overridden = 0;
    for (const event of xmlEvents(xml)) {
      if (event.kind !== 'open') continue;
      const { name, attributes } = event;
      const value = attributes.get('w:val') ?? '';
      if (name === 'w:abstractNum') {
        list = [];
        level = undefined;
        this.#lists.set(attributes.get('w:abstractNumId') ?? '', list);
      } else if (name === 'w:lvl') {
        level = { start: 1, format: 'decimal', text: '', digits: false };
        const at = index(attributes.get('w:ilvl'));
        // A level that one use of a list has of its own is not read: it seldom differs but in its looks.
        if (number === '') list[at] = level;
      } else if (name === 'w:num') {
        number = attributes.get('w:numId') ?? '';
        starts = new Map();
      } else if (name === 'w:abstractNumId' && number !== '') this.#numbers.set(number, { list: value, starts });
      else if (name === 'w:lvlOverride') overridden = index(attributes.get('w:ilvl'));
      else if (name === 'w:startOverride') starts.set(overridden, counted(value));
      else if (level !== undefined && number === '') {
        if (name === 'w:start') level.start = counted(value);
        else if (name === 'w:numFmt') level.format = value;
        else if (name === 'w:lvlText') level.text = value.slice(0, 100);
        else if (name === 'w:isLgl') level.digits = value !== '0' && value !== 'false';
      }
    }
  }

  /** The label of the next paragraph at a place; empty for bullets, and for what is not known. */
  next({ number, level: wanted }: Place): string {
    const numbers = this.#numbers.get(number);
    const list = numbers && this.#lists.get(numbers.list);
    if (numbers === undefined || list === undefined) return '';
    const at = Math.min(wanted, LEVELS - 1);
    const counts = this.#counts.get(numbers.list) ?? [];
    this.#counts.set(numbers.list, counts);
    if (numbers.starts.size > 0 && !this.#begun.has(number)) {
      for (const [level, start] of numbers.starts) counts[level] = start - 1;
      this.#begun.add(number);
    }
    const startOf = (level: number): number => list[level]?.start ?? 1;
    counts[at] = (counts[at] ?? startOf(at) - 1) + 1;
    counts.length = at + 1;
    const own = list[at];
    if (own === undefined || own.format === 'bullet' || own.format === 'none') return '';
    return own.text
      .replace(/%([1-9])/g, (_, digit: string) => {
        const level = Number(digit) - 1;
        return written(counts[level] ?? startOf(level), own.digits ? 'decimal' : (list[level]?.format ?? 'decimal'));
      })
      .trim();
  }
}

function index(value: string | undefined): number {
  return value !== undefined && /^[0-8]$/.test(value) ? Number(value) : 0;
}

function counted(value: string): number {
  return /^\d{1,6}$/.test(value) ? Number(value) : 1;
}

const ROMAN = [
  [1000, 'm'],
  [900, 'cm'],
  [500, 'd'],
  [400, 'cd'],
  [100, 'c'],
  [90, 'xc'],
  [50, 'l'],
  [40, 'xl'],
  [10, 'x'],
  [9, 'ix'],
  [5, 'v'],
  [4, 'iv'],
  [1, 'i'],
] as const;

/** A number in a format by Word's names. */
export function written(value: number, format: string): string {
  if (value < 1 || value > LARGEST) return String(value);
  switch (format) {
    case 'lowerRoman':
    case 'upperRoman': {
      let [left, text] = [value, ''];
      for (const [size, letters] of ROMAN) for (; left >= size; left -= size) text += letters;
      return format === 'upperRoman' ? text.toUpperCase() : text;
    }
    case 'lowerLetter':
    case 'upperLetter': {
      // Behind z comes aa, then bb.
      const letter = String.fromCharCode(97 + ((value - 1) % 26));
      const text = letter.repeat(Math.min(10, Math.ceil(value / 26)));
      return format === 'upperLetter' ? text.toUpperCase() : text;
    }
    case 'decimalZero':
      return String(value).padStart(2, '0');
    case 'none':
      return '';
    default:
      return String(value);
  }
}
