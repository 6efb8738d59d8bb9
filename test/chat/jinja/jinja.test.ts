/** Templates as Python's jinja2 renders them (oracle.py), what is refused by name, what is bounded, and what is known of where each character comes from. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { JinjaTemplate, TemplateError, TemplateRefusal } from '../../../src/chat/jinja/index.ts';
import type { Text } from '../../../src/chat/jinja/text.ts';
import { fromJson, type Value } from '../../../src/chat/jinja/values.ts';

const NOW = new Date(2026, 10, 29, 1, 2, 3);

function render(template: string, values: Readonly<Record<string, unknown>> = {}): Text {
  const given = new Map(Object.entries(values).map(([name, value]): [string, Value] => [name, fromJson(value)]));
  return new JinjaTemplate(template).render(given, JSON.stringify(values).length, NOW);
}

/** The result with what came from the values in brackets. */
function marked(template: string, values: Readonly<Record<string, unknown>>): string {
  return [...render(template, values).runs()].map(({ text, content }) => (content ? `[${text}]` : text)).join('');
}

interface Oracle {
  readonly values: Readonly<Record<string, unknown>>;
  readonly cases: readonly { readonly template: string; readonly text?: string; readonly error?: string }[];
}

const oracle = JSON.parse(readFileSync(new URL('oracle.json', import.meta.url), 'utf8')) as Oracle;

describe('as jinja2', () => {
  test.each(oracle.cases.map((each) => [each.template, each] as const))('%j', (_name, { template, text }) => {
    if (text === undefined) expect(() => render(template, oracle.values)).toThrow(TemplateError);
    else expect(render(template, oracle.values).text).toBe(text);
  });
});

describe('what a template may not do', () => {
  test.each([
    ['{% include "x" %}', "'{% include %}'"],
    ['{% extends "x" %}', "'{% extends %}'"],
    ['{% import "x" as y %}', "'{% import %}'"],
    ['{% for a in b recursive %}{% endfor %}', 'recursive'],
    ['{{ x | nosuchfilter }}', "the filter 'nosuchfilter'"],
    ['{{ x is nosuchtest }}', "the test 'nosuchtest'"],
    ['{{ f(*x) }}', "'*arguments'"],
    ['a\n\n{{ ? }}', "line 3: '?'"],
    ['{% if x %}', "'{% endif %}' is missing"],
    ['{{ x', "not closed by '}}'"],
    ['{{ "x }}', 'a string is not closed'],
    ['{# x', "'{#' is not closed"],
    ['{% raw %}x', "'{% endraw %}'"],
    ['{{ nothing() }}', "'nothing' is an undefined value"],
  ])('%s is refused, and the message names it', (template, message) => {
    expect(() => render(template)).toThrow(TemplateError);
    expect(() => render(template)).toThrow(message);
  });

  test('raise_exception is a refusal of its own', () => {
    expect(() => render("{{ raise_exception('no system') }}")).toThrow(TemplateRefusal);
    expect(() => render("{{ raise_exception('no system') }}")).toThrow('no system');
  });
});

describe('budget', () => {
  const loop = (depth: number, count: string): string =>
    `{% for a in range(${count}) %}`.repeat(depth) + 'x' + '{% endfor %}'.repeat(depth);
  test.each([
    ['three loops within one another', loop(3, '3000')],
    ['a huge range', loop(1, '1e12 | int')],
    ['a huge range', '{{ range(1000000000000) }}'],
    [
      'doubling',
      "{% set ns = namespace(x='ab') %}{% for a in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
    ],
    [
      'doubling by ~',
      "{% set ns = namespace(x='ab') %}{% for a in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    ],
    [
      'doubling a list',
      '{% set ns = namespace(x=[1]) %}{% for a in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}',
    ],
    ['repetition', "{{ 'abc' * 1000000000 }}"],
    ['repetition of a list', '{{ [1] * 1000000000 }}'],
    [
      'replacement',
      "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x | replace('a', 'aa') %}{% endfor %}",
    ],
    [
      'joining',
      "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] | join(ns.x) %}{% endfor %}",
    ],
    [
      'tojson',
      "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] | tojson %}{% endfor %}",
    ],
    [
      'a list within itself many times',
      '{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | string }}',
    ],
    ['a macro that calls itself', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'],
    [
      'a macro that calls itself twice',
      '{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}',
    ],
    ['short parts', "{% set ns = namespace(x='a ' * 9000000) %}{{ ns.x.replace('a', 'b') }}"],
    [
      'lists that hold themselves',
      '{% set x = [] %}{% set _ = x.append(x) %}{% set y = [] %}{% set _ = y.append(y) %}{{ x == y }}',
    ],
    ['the order of such lists', '{% set x = [] %}{% set _ = x.append(x) %}{{ x < x }}'],
    ['sorting', '{% for i in range(1000) %}{{ range(10000) | sort | first }}{% endfor %}'],
    ['padding', "{{ '%1000000000s' | format('a') }}"],
  ])('%s ends with a TemplateError, soon', (_name, template) => {
    const begun = performance.now();
    expect(() => render(template)).toThrow(TemplateError);
    // Some hundred times what it takes: a test of a loop without end, not of speed.
    expect(performance.now() - begun).toBeLessThan(30_000);
  });

  test.each([
    ['parentheses', '{{ ' + '('.repeat(5000) + '1' + ')'.repeat(5000) + ' }}'],
    ['lists', '{{ ' + '['.repeat(5000) + ']'.repeat(5000) + ' }}'],
    ['not', '{{ ' + 'not '.repeat(5000) + '1 }}'],
    ['minus', '{{ ' + '-'.repeat(5000) + '1 }}'],
    ['if', '{% if 1 %}'.repeat(5000) + '{% endif %}'.repeat(5000)],
  ])('%s within one another are refused', (_name, template) => {
    expect(() => render(template)).toThrow('levels within one another');
  });

  test('a long conversation is no loop without end', () => {
    const messages = Array.from({ length: 5000 }, (_, i) => ({
      role: i % 2 === 0 ? 'user' : 'assistant',
      content: `message ${i} `.repeat(20),
    }));
    const template =
      "{% for m in messages %}{% if m.role == 'user' %}<u>{% elif m['role'] == 'assistant' %}<a>{% endif %}{{ m.content | trim }}</>\n{% endfor %}";
    expect(render(template, { messages }).length).toBeGreaterThan(1e6);
  });
});

describe('where characters come from', () => {
  const values = { m: ' <|x|> y ', list: ['<|a|>', 'b'], tool: { '<|k|>': '"<|v|>"\n', n: 3 } };
  test.each([
    ['<|t|>{{ m }}<|t|>', '<|t|>[ <|x|> y ]<|t|>'],
    ['{{ m | trim }}|{{ m.strip() }}', '[<|x|> y]|[<|x|> y]'],
    ["{{ '<|' + m.split('|')[1] + '|>' }}", '<|[x]|>'],
    ["{{ m.split() | join('-') }}", '[<|x|>]-[y]'],
    ["{{ m | replace('x', 'z') }}", '[ <|]z[|> y ]'],
    ['{{ m | upper }}{{ m | title }}{{ m | capitalize }}', '[ <|X|> Y  <|X|> Y  <|x|> y ]'],
    ['{{ m[1:3] }}{{ m[::-1] }}{{ m[2] }}', '[<| y >|x|< |]'],
    ["{{ '%s!' | format(m) }}{{ '{}!'.format(m) }}{{ '%s' % m }}", '[ <|x|> y ]![ <|x|> y ]![ <|x|> y ]'],
    ['{{ list }}', "['[<|a|>]', '[b]']"],
    ["{{ list | join('<|j|>') }}", '[<|a|>]<|j|>[b]'],
    ['{{ tool | tojson }}', '{"[<|k|>]": "[\\"<|v|>\\"\\n]", "[n]": 3}'],
    ['{% for k, v in tool.items() %}<{{ k }}>{{ v }}{% endfor %}', '<[<|k|>]>["<|v|>"\n]<[n]>3'],
    ['{% set x %}a{{ m }}b{% endset %}{{ x }}', 'a[ <|x|> y ]b'],
    ['{% macro f(x) %}({{ x }}){% endmacro %}{{ f(m) }}', '([ <|x|> y ])'],
    ["{{ m ~ '<|t|>' ~ list[0] }}", '[ <|x|> y ]<|t|>[<|a|>]'],
    ['{{ list[0] ~ list[1] }}', '[<|a|>b]'],
    ['{{ m | indent(2, true) }}|{{ m | e }}', '  [ <|x|> y ]|[ &lt;|x|&gt; y ]'],
    ["{{ '' if m == '<|x|>' else m | length }}", '9'],
  ])('%s', (template, want) => {
    const text = marked(template, values).replaceAll('][', '');
    expect(text).toBe(want);
  });
});
