/**
 * Apps as their authors wrote them, with one line changed, run on the built package: a page for Chrome's Prompt API, an app on the AI SDK, and a
 * script on OpenAI's package. They run on Qwen2.5-Coder-0.5B where it is in the cache, and always on a small model, which can say nothing but is
 * held by the same schemas.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { realModel } from '../../support/models.ts';
import { scriptedModel } from '../../support/scripted-model.ts';
import { tinyModel } from '../../support/tiny-model.ts';

const run = promisify(execFile);
const here = fileURLToPath(new URL('./', import.meta.url));
const PATIENCE = 300_000;
/** What a model without weights of worth is asked by; it ends with Q, or with R where a tool's result was given. */
const TEMPLATE =
  "{% if tools %}<|im_start|>system\nTools: {% for t in tools %}{{ t | tojson }}{% endfor %} Call as {{ '<tool_call>' }}<|im_end|>\n{% endif %}" +
  '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}' +
  '{% for c in m.tool_calls %}\n<tool_call>\n{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}' +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{{ 'R' if messages[-1].role == 'tool' else 'Q' }}{% endif %}";
const SCRIPTS = {
  Q: ['<tool_call>\n{"name": "weather",', ' "arguments": {"city": "Paris"', '}}\n</tool_call>'],
  R: ['It is 17', ' degrees.'],
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-one-line-'));
  writeFileSync(join(folder, 'tiny.gguf'), tinyModel({ window: 2048 }));
  writeFileSync(join(folder, 'scripted.gguf'), scriptedModel(SCRIPTS, { template: TEMPLATE }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the app printed at last. It must end by itself, as it does on a server's model. */
async function outcome(app: string, model: string): Promise<Record<string, unknown>> {
  const { stdout } = await run(process.execPath, [join(here, app)], {
    env: { ...process.env, NODE_OPTIONS: '', MODEL: model, OCTAVO_CACHE: join(folder, 'cache') },
    timeout: PATIENCE,
  });
  return JSON.parse(stdout) as Record<string, unknown>;
}

test.each(readdirSync(here).filter((name) => name.endsWith('.mjs')))('%s differs by one line', (name) => {
  const lines = readFileSync(join(here, name), 'utf8').split('\n');
  expect(lines.filter((line) => line.startsWith('// was: '))).toHaveLength(1);
  // The formatter folds a long line: the changed statement ends with the next semicolon at a line's end.
  const at = lines.findIndex((line) => line.startsWith('// was: '));
  const end = lines.findIndex((line, i) => i > at && line.endsWith(';'));
  expect(lines.slice(at + 1, end + 1).join('\n')).toContain('octavo');
  const others = lines.filter((_, i) => i < at || i > end);
  expect(others.join('\n')).not.toMatch(/octavo/i);
});

describe('on a small model', () => {
  test(
    "a page for Chrome's Prompt API",
    async () => {
      const { streamed, judged, used } = await outcome('language-model.mjs', join(folder, 'tiny.gguf'));
      expect(String(streamed).length).toBeGreaterThan(0);
      expect(['English', 'French', 'German']).toContain((judged as { language: string }).language);
      expect(used).toBeGreaterThan(20);
    },
    PATIENCE,
  );

  test(
    'an app on the AI SDK',
    async () => {
      const { text, asked, steps, object } = await outcome('ai-sdk.mjs', join(folder, 'scripted.gguf'));
      expect({ text, asked, steps }).toEqual({ text: 'It is 17 degrees.', asked: ['Paris'], steps: 2 });
      const { drink, age } = object as { drink: string; age: number };
      expect(['coffee', 'tea', 'water']).toContain(drink);
      expect(Number.isInteger(age) && age >= 0 && age <= 120).toBe(true);
    },
    PATIENCE,
  );

  test(
    "a script on OpenAI's package",
    async () => {
      const { content, streamed, judged, usage } = await outcome('openai.mjs', join(folder, 'tiny.gguf'));
      expect(content).toBe(streamed);
      expect(typeof (judged as { certain: boolean }).certain).toBe('boolean');
      expect(usage).toMatchObject({ completion_tokens: 12 });
    },
    PATIENCE,
  );
});

const qwen = realModel('qwen');
describe('on Qwen2.5-Coder-0.5B', () => {
  const story = qwen === undefined ? test.skip : test;
  story(
    "a page for Chrome's Prompt API",
    async () => {
      const { streamed, judged } = await outcome('language-model.mjs', qwen!);
      expect(String(streamed)).toMatch(/Anna|[Hh]ello/);
      // Which of them it names is the model's knowledge, not the SDK's.
      expect(['English', 'French', 'German']).toContain((judged as { language: string }).language);
    },
    PATIENCE,
  );
  story(
    'an app on the AI SDK',
    async () => {
      // So small a model calls again what it knows, until the app's own limit of steps.
      const { asked, object } = await outcome('ai-sdk.mjs', qwen!);
      expect(asked).toContain('Paris');
      expect(object).toEqual({ drink: 'tea', age: 34 });
    },
    PATIENCE,
  );
  story(
    "a script on OpenAI's package",
    async () => {
      const { content, streamed, judged } = await outcome('openai.mjs', qwen!);
      expect(content).toContain('Paris');
      expect(streamed).toBe(content);
      expect(judged).toMatchObject({ country: 'France' });
    },
    PATIENCE,
  );
});
