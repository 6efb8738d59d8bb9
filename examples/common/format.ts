/** Sizes, times and dates for people, in their language. */
import { language } from './i18n.ts';

/** 1,234,567 as `1.2 MB`: powers of ten, as browsers and systems write them. */
export function bytes(count: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
  let value = count;
  let place = 0;
  while (value >= 999.5 && place < units.length - 1) {
    value /= 1000;
    place++;
  }
  const digits = place === 0 || value >= 10 ? 0 : 1;
  return new Intl.NumberFormat(language.value, {
    style: 'unit',
    unit: units[place] ?? 'byte',
    unitDisplay: place === 0 ? 'long' : 'short',
    maximumFractionDigits: digits,
  }).format(value);
}

/** Seconds as `8 s`, `4 min`, `1 h 20 min`: the symbols are the same in all languages. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${number(Math.max(0.1, seconds), 1)} s`;
  if (seconds < 59.5) return `${number(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return rest === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(language.value, { maximumFractionDigits: digits }).format(value);
}

export function percent(share: number): string {
  return new Intl.NumberFormat(language.value, { style: 'percent', maximumFractionDigits: 0 }).format(share);
}

export function date(milliseconds: number): string {
  return new Intl.DateTimeFormat(language.value, { dateStyle: 'medium', timeStyle: 'short' }).format(milliseconds);
}
