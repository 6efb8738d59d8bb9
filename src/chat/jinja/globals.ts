/** The functions that transformers gives to chat templates, and Jinja's own. */
import type { Budget } from './budget.ts';
import { TemplateError, TemplateRefusal } from './error.ts';
import { Scope } from './evaluate.ts';
import { asCount } from './methods.ts';
import { Text } from './text.ts';
import { Callable, Dict, Namespace, print } from './values.ts';

export function globals(budget: Budget, now: Date): Scope {
  const scope = new Scope();
  const add = (name: string, call: Callable['call']): void => scope.set(name, new Callable(name, call));
  add('range', ({ list: [a, b, c] }) => {
    const start = b === undefined ? 0 : asCount(a, 0);
    const stop = b === undefined ? asCount(a, 0) : asCount(b, 0);
    const step = asCount(c, 1);
    if (step === 0) throw new TemplateError('range with a step of 0');
    const count = Math.max(0, Math.ceil((stop - start) / step));
    // Before the list is made.
    budget.spend(count);
    return Array.from({ length: count }, (_, i) => start + i * step);
  });
  add('namespace', ({ list: [first], named }) => {
    const made = new Namespace();
    if (first instanceof Dict)
      for (const [key, value] of first.items()) made.values.set(print(key, budget).text, value);
    for (const [key, value] of named) made.values.set(key, value);
    return made;
  });
  add('dict', ({ list: [first], named }) => {
    const made = new Dict();
    if (first instanceof Dict) for (const [key, value] of first.items()) made.set(key, value);
    for (const [key, value] of named) made.set(new Text(key), value);
    return made;
  });
  add('raise_exception', ({ list: [message] }) => {
    throw new TemplateRefusal(print(message, budget).text);
  });
  add('strftime_now', ({ list: [layout] }) => new Text(clock(print(layout, budget).text, now)));
  return scope;
}

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

function clock(layout: string, now: Date): string {
  const hour = now.getHours();
  const parts: Readonly<Record<string, string | number>> = {
    Y: now.getFullYear(),
    y: now.getFullYear() % 100,
    m: now.getMonth() + 1,
    d: now.getDate(),
    e: now.getDate(),
    H: hour,
    I: hour % 12 || 12,
    M: now.getMinutes(),
    S: now.getSeconds(),
    B: MONTHS[now.getMonth()] ?? '',
    b: (MONTHS[now.getMonth()] ?? '').slice(0, 3),
    A: DAYS[now.getDay()] ?? '',
    a: (DAYS[now.getDay()] ?? '').slice(0, 3),
    p: hour < 12 ? 'AM' : 'PM',
    '%': '%',
  };
  return layout.replace(/%(-?)([a-zA-Z%])/g, (whole: string, plain: string, name: string) => {
    const part = parts[name];
    if (part === undefined) return whole;
    return plain === '' && typeof part === 'number' && name !== 'e' ? String(part).padStart(2, '0') : String(part);
  });
}
