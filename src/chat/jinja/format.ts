/** Python's two ways to put values into a string: `'{} {name}'.format(...)` and `'%s %d' % (...)`. */
import type { Budget } from './budget.ts';
import { TemplateError } from './error.ts';
import { concat, Text } from './text.ts';
import { Dict, isList, print, type Arguments, type Value } from './values.ts';

/** Widths and precisions beyond this are a mistake. */
const WIDEST = 1000;

export function format(self: Text, { list, named }: Arguments, budget: Budget): Text {
  const parts: Text[] = [];
  let next = 0;
  let done = 0;
  const field = /\{\{|\}\}|\{([^{}:!]*)(?:![rsa])?(?::([^{}]*))?\}/g;
  for (const found of self.text.matchAll(field)) {
    parts.push(self.slice(done, found.index));
    done = found.index + found[0].length;
    if (found[1] === undefined) {
      parts.push(self.slice(found.index, found.index + 1));
      continue;
    }
    const name = found[1] === '' ? String(next++) : found[1];
    parts.push(laidOut(/^\d+$/.test(name) ? list[Number(name)] : fieldOf(name, named), found[2] ?? '', budget));
  }
  parts.push(self.slice(done));
  return concat(parts);
}

/** `name`, `name.attribute` or `name[key]`. */
function fieldOf(path: string, named: ReadonlyMap<string, Value>): Value {
  const [first = '', ...rest] = path.split(/[.[\]]+/).filter((part) => part !== '');
  return rest.reduce<Value>(
    (value, key) => (value instanceof Dict ? value.get(new Text(key)) : isList(value) ? value[Number(key)] : undefined),
    named.get(first),
  );
}

export function percent(self: Text, { list, named }: Arguments, budget: Budget): Text {
  const parts: Text[] = [];
  let next = 0;
  let done = 0;
  for (const found of self.text.matchAll(/%(?:\((\w+)\))?([-+ 0#]*)(\d*)(?:\.(\d+))?([sdifxXr%])/g)) {
    const [whole, name, flags = '', width = '', precision, kind = 's'] = found;
    parts.push(self.slice(done, found.index));
    done = found.index + whole.length;
    if (kind === '%') {
      parts.push(new Text('%'));
      continue;
    }
    const first = list[0];
    const value =
      name === undefined
        ? list[next++]
        : (named.get(name) ?? (first instanceof Dict ? first.get(new Text(name)) : undefined));
    const align = flags.includes('-') ? '<' : '>';
    const fill = flags.includes('0') && align === '>' ? '0' : '';
    const type = kind === 's' || kind === 'r' ? '' : kind === 'i' ? 'd' : kind;
    parts.push(
      laidOut(
        value,
        `${fill === '' ? align : ''}${fill}${width}${precision === undefined ? '' : `.${precision}`}${type}`,
        budget,
      ),
    );
  }
  parts.push(self.slice(done));
  return concat(parts);
}

/** A value by a format specification: fill, alignment, sign, width, `,`, precision, type. */
function laidOut(value: Value, specification: string, budget: Budget): Text {
  const found = /^(?:(.)?([<>^=]))?([-+ ])?(#)?(0)?(\d*)(,)?(?:\.(\d+))?([sdfxXeg%]?)$/s.exec(specification);
  if (found === null) throw new TemplateError(`the format '${specification.slice(0, 40)}' is not supported`);
  const [, fill, align, sign = '', , zero, width = '', comma, precision, type = ''] = found;
  if (Number(width) > WIDEST || Number(precision ?? 0) > 100)
    throw new TemplateError(`the format '${specification.slice(0, 40)}' is too wide`);
  let text = print(value, budget);
  if (typeof value === 'number') {
    let digits = number(value, type, precision === undefined ? undefined : Number(precision));
    if (comma !== undefined) digits = digits.replace(/\B(?=(?:\d{3})+(?!\d))(?<!\.\d*)/g, ',');
    text = new Text(value >= 0 && (sign === '+' || sign === ' ') ? sign + digits : digits);
  } else if (precision !== undefined) text = text.slice(0, Number(precision));
  const missing = Math.max(0, Number(width) - text.length);
  const pad = new Text((fill ?? (zero === undefined ? ' ' : '0')).repeat(missing));
  const side = align ?? (typeof value === 'number' ? '>' : '<');
  if (side === '^') return concat([pad.slice(0, missing >> 1), text, pad.slice(missing >> 1)]);
  return side === '<' ? concat([text, pad]) : concat([pad, text]);
}

function number(value: number, type: string, precision: number | undefined): string {
  switch (type) {
    case 'd':
      return String(Math.trunc(value));
    case 'f':
      return value.toFixed(precision ?? 6);
    case 'e':
      return value.toExponential(precision ?? 6);
    case 'x':
      return Math.trunc(value).toString(16);
    case 'X':
      return Math.trunc(value).toString(16).toUpperCase();
    case '%':
      return `${(100 * value).toFixed(precision ?? 6)}%`;
    default:
      return precision === undefined ? String(value) : String(Number(value.toPrecision(Math.max(1, precision))));
  }
}
