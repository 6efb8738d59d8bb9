/** The command line, in this process, with what it reads and writes captured. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { run } from '../../src/cli/run.ts';
import { ProgressLine } from '../../src/cli/terminal.ts';
import { createFace } from '../../src/face/octavo.ts';
import { testPlace, testPlatform } from '../support/engine.ts';
import { scriptedModel } from '../support/scripted-model.ts';
import { tinyModel, TINY_VOCABULARY } from '../support/tiny-model.ts';

let folder: string;
let model: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-cli-'));
  model = join(folder, 'tiny.gguf');
  writeFileSync(model, tinyModel({ window: 1024 }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

class Captured extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function octavo(
  args: string[],
  input: string | Uint8Array = '',
): Promise<{ code: number; output: string; errors: string }> {
  const output = new Captured();
  const errors = new Captured();
  const place = testPlace();
  const code = await run(args, {
    input: Readable.from([Buffer.from(input)]),
    output,
    errors,
    face: createFace(place),
    place,
    platform: testPlatform,
    version: '1.2.3',
  });
  return { code, output: output.text, errors: errors.text };
}
const WASM = ['--device', 'wasm', '--threads', '1'];

describe('tokenize', () => {
  test('ids on one line, special tokens read or not', async () => {
    const plain = await octavo(['tokenize', '--model', model], 'ab\n');
    expect(plain).toEqual({ code: 0, errors: '', output: '[97,98,10]\n' });
    const special = await octavo(['tokenize', '--model', model], '<|im_end|>');
    expect(JSON.parse(special.output)).toHaveLength(1);
    const letters = await octavo(['tokenize', '--model', model, '--no-special'], '<|im_end|>');
    expect(JSON.parse(letters.output)).toHaveLength(10);
  });

  test('and back', async () => {
    const text = 'Grüße, 世界!\n<|im_end|>';
    const { output } = await octavo(['tokenize', '--model', model], text);
    expect((await octavo(['tokenize', '--model', model, '--detokenize'], output)).output).toBe(text);
  });

  test('a line at a time', async () => {
    const lines = ['one', 'two\nlines', '', '\u0000'];
    const { output } = await octavo(
      ['tokenize', '--model', model, '--jsonl'],
      lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
    );
    const ids = output.trimEnd().split('\n');
    expect(ids).toHaveLength(4);
    expect(JSON.parse(ids[2]!)).toEqual([]);
    const back = await octavo(['tokenize', '--model', model, '--jsonl', '--detokenize'], output);
    expect(
      back.output
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as string),
    ).toEqual(lines);
  });

  test('what cannot be read is told by its line', async () => {
    expect(await octavo(['tokenize', '--model', model, '--jsonl'], '"a"\nb\n')).toMatchObject({
      code: 1,
      errors: expect.stringContaining('line 2'),
    });
    expect(await octavo(['tokenize', '--model', model, '--detokenize'], `[${TINY_VOCABULARY}]`)).toMatchObject({
      code: 1,
    });
  });
});

describe('generate', () => {
  test('JSON: text, ids, timings', async () => {
    const { code, output } = await octavo([
      'generate',
      '--raw',
      '--model',
      model,
      '--prompt',
      'Once',
      '--temperature',
      '0',
      '--max-tokens',
      '9',
      '--json',
      ...WASM,
    ]);
    expect(code).toBe(0);
    const answer = JSON.parse(output) as {
      text: string;
      ids: number[];
      tokens: object;
      timings: object;
      device: object;
    };
    expect(answer).toMatchObject({
      finishReason: 'length',
      tokens: { prompt: 4, generated: 9 },
      device: { kind: expect.any(String) },
    });
    expect(answer.ids).toHaveLength(9);
    expect(answer.timings).toEqual({
      load: expect.any(Number),
      prefill: expect.any(Number),
      decode: expect.any(Number),
    });
    const plain = await octavo(
      ['generate', '--raw', '--model', model, '--prompt', '-', '--temperature', '0', '--max-tokens', '9', ...WASM],
      'Once',
    );
    expect(plain.output).toBe(`${answer.text}\n`);
  });

  test('with the chat template where the model has one; --chat requires it', async () => {
    const ask = (file: string, ...more: string[]): ReturnType<typeof octavo> =>
      octavo(['generate', '--model', file, '--prompt', 'Once', '--max-tokens', '3', '--json', ...WASM, ...more]);
    const { output } = await ask(model);
    expect((JSON.parse(output) as { tokens: { prompt: number } }).tokens.prompt).toBeGreaterThan(10);
    expect((await ask(model, '--chat')).output.length).toBeGreaterThan(10);
    const bare = join(folder, 'bare.gguf');
    writeFileSync(bare, tinyModel({ template: '' }));
    const raw = await ask(bare);
    expect((JSON.parse(raw.output) as { tokens: { prompt: number } }).tokens.prompt).toBe(4);
    expect(await ask(bare, '--chat')).toMatchObject({ code: 2, errors: expect.stringContaining('no chat template') });
    const kept = JSON.parse((await ask(model, '--context', 'balanced')).output) as { context: object };
    expect(kept.context).toMatchObject({ preset: 'balanced', options: { kvBits: 8 } });
    expect(await ask(bare, '--context', 'small')).toMatchObject({
      code: 2,
      errors: expect.stringContaining('no session'),
    });
  });
});

describe('the program', () => {
  test('its version, help in every place, and the command that was meant', async () => {
    expect(await octavo(['--version'])).toEqual({ code: 0, errors: '', output: '1.2.3\n' });
    for (const args of [['--help'], ['-h'], ['help']]) expect((await octavo(args)).output).toContain('octavo chat');
    for (const flag of ['--help', '-h']) expect((await octavo(['chat', flag])).output).toContain('Usage: octavo chat');
    expect(await octavo(['generat'])).toMatchObject({
      code: 2,
      errors: expect.stringContaining("did you mean 'generate'?"),
    });
    expect((await octavo(['xyzzy'])).errors).not.toContain('did you mean');
  });

  test('the option that was meant', async () => {
    for (const [given, meant] of [
      ['--max-token=3', '--max-tokens'],
      ['--maxTokens', '--max-tokens'],
      ['--tempreature', '--temperature'],
    ] as const) {
      const { code, errors } = await octavo(['chat', '--model', model, given]);
      expect(code).toBe(2);
      expect(errors).toContain(`${given.split('=')[0]} is not an option of this command; did you mean ${meant}?`);
    }
    expect((await octavo(['chat', '--xyzzy'])).errors).toContain('--xyzzy is not an option of this command\n');
    expect((await octavo(['chat', '-q'])).errors).toContain('-q is not an option of this command\n');
  });
});

describe('chat and ask', () => {
  test('a line a question, /reset and /exit', async () => {
    const { code, output } = await octavo(
      ['chat', '--model', model, '--max-tokens', '4', '--temperature', '0', ...WASM],
      'Hello\nAnd?\n/reset\nHello\n/exit\nnever\n',
    );
    expect(code).toBe(0);
    const answers = output.trimEnd().split('\n');
    expect(answers).toHaveLength(3);
    expect(answers[2]).toBe(answers[0]);
  });

  test('/help is answered here, a command that there is not is not sent to the model, // is text', async () => {
    const { code, output, errors } = await octavo(
      ['chat', '--model', model, '--max-tokens', '4', '--temperature', '0', ...WASM],
      '/help\n/clera\n//text\n/exit\n',
    );
    expect(code).toBe(0);
    expect(errors).toMatch(/\/clear, \/reset +begins/);
    expect(errors).toContain('/clera is not a command; did you mean /clear?');
    expect(output.trimEnd().split('\n')).toHaveLength(1);
  });

  test('files of a folder are cited by their places in it, and text without pages', async () => {
    const places = join(folder, 'places');
    for (const [at, text] of [
      ['north', 'The north gate has a bell.'],
      ['south', 'The south gate has a lamp.'],
    ] as const) {
      mkdirSync(join(places, at), { recursive: true });
      writeFileSync(join(places, at, 'notes.txt'), text);
    }
    const teller = join(folder, 'teller.gguf');
    const template = '{% for m in messages %}{{ m.content }}{% endfor %}Q';
    writeFileSync(teller, scriptedModel({ Q: ['a bell'] }, { template }));
    const { output } = await octavo(['ask', places, 'What has the north gate?', '--model', teller, ...WASM]);
    expect(output).toContain(`${join('north', 'notes.txt')}: “The north gate has a bell.”`);
    expect(output).toContain('read: all 2 documents');
    expect(output).not.toContain('page');
    rmSync(places, { recursive: true });
  });

  test('without a source the nearest passage is told, and what the model that needs no download can do', async () => {
    const places = mkdtempSync(join(tmpdir(), 'octavo-nearest-'));
    const before = process.cwd();
    try {
      writeFileSync(join(places, 'notes.txt'), 'The north gate has a bell.\n');
      const template = '{% for m in messages %}{{ m.content }}{% endfor %}Q';
      // Nothing is bundled here, so its name is taken for a path.
      writeFileSync(join(places, 'nano-text'), scriptedModel({ Q: ['The document does not say.'] }, { template }));
      process.chdir(places);
      const { output, errors } = await octavo(['ask', 'notes.txt', 'Who rings the bell of the north gate?', ...WASM]);
      expect(output).toContain('nearest: notes.txt: “The north gate has a bell.”');
      expect(errors).toContain('nano-text answered, which is for trying things out');
      const named = await octavo(['ask', 'notes.txt', 'What has the gate?', '--model', './nano-text', ...WASM]);
      expect(named.errors).not.toContain('trying things out');
    } finally {
      process.chdir(before);
      rmSync(places, { recursive: true });
    }
  });

  test('a question about a document', async () => {
    const document = join(folder, 'facts.txt');
    writeFileSync(document, 'The gate is red.\n');
    const { code, output } = await octavo([
      'ask',
      document,
      'Which colour?',
      '--model',
      model,
      '--max-tokens',
      '4',
      '--json',
      ...WASM,
    ]);
    expect(code).toBe(0);
    // What a model of this size says that stands nowhere is not shown.
    expect((JSON.parse(output) as { said: string }).said).toHaveLength(4);
    const two = await octavo(['ask', folder, 'Which?', '--model', model, '--max-tokens', '2', ...WASM]);
    expect(two).toMatchObject({ code: 0, output: expect.stringMatching(/read: (the whole text|all|\d)/) });
    // Nothing is bundled here, so its name is taken for a path.
    expect(await octavo(['ask', document, 'Which?', ...WASM])).toMatchObject({
      code: 1,
      errors: expect.stringContaining('nano-text'),
    });
    writeFileSync(document, Uint8Array.of(1, 0, 255));
    // Told before a model is looked for.
    expect(await octavo(['ask', document, 'Which?', '--model', 'no.gguf'])).toMatchObject({
      code: 1,
      errors: expect.stringContaining('facts.txt'),
    });
    expect(await octavo(['ask', join(folder, 'no.txt'), 'Which?'])).toMatchObject({
      code: 1,
      errors: expect.stringContaining('no.txt'),
    });
  });
});

describe('ask --keep', () => {
  test('the second question reads the document from the disk, and answers as without', async () => {
    const document = join(folder, 'long.txt');
    writeFileSync(document, Array.from({ length: 36 }, (_, i) => `Fact ${i}.`).join(' '));
    const before = process.env['OCTAVO_CACHE'];
    process.env['OCTAVO_CACHE'] = join(folder, 'cache');
    try {
      let said = '';
      const ask = async (
        question: string,
        ...more: string[]
      ): Promise<{ answer: string; tokens: { cached: number; prompt: number } }> => {
        const { code, output, errors } = await octavo([
          'ask',
          document,
          question,
          '--model',
          model,
          '--max-tokens',
          '4',
          '--json',
          ...WASM,
          ...more,
        ]);
        expect(code).toBe(0);
        said = errors;
        return JSON.parse(output) as { answer: string; tokens: { cached: number; prompt: number } };
      };
      expect((await ask('Which colour?', '--keep')).tokens.cached).toBe(0);
      const kept = await ask('And why?', '--keep');
      expect(kept.tokens.cached).toBeGreaterThan(250);
      const plain = await ask('And why?');
      expect(plain.tokens.cached).toBe(0);
      expect(kept.answer).toBe(plain.answer);
      expect(said).toBe('');
      await ask('And why?', '--keep', '--mode', 'passages');
      expect(said).toMatch(/^--keep: nothing was kept: \d+ of \d+ passages were read.*--mode whole\n$/);
      // A folder that cannot be made, since a file stands in its place.
      process.env['OCTAVO_CACHE'] = document;
      expect((await ask('And why?', '--keep')).answer).toBe(plain.answer);
      expect(said.trimEnd().split('\n')).toEqual([expect.stringMatching(/^--keep: nothing was kept: .*OCTAVO_CACHE$/)]);
      expect(said).toContain(join(document, 'sessions'));
    } finally {
      if (before === undefined) delete process.env['OCTAVO_CACHE'];
      else process.env['OCTAVO_CACHE'] = before;
    }
  });
});

describe('inspect and doctor', () => {
  test('what a file holds', async () => {
    const { code, output } = await octavo(['inspect', model]);
    expect(code).toBe(0);
    expect(output).toContain('general.architecture: llama');
    expect(output).not.toMatch(/^ +\w+ *$/m);
    expect(output).toMatch(/token_embd\.weight +F32/);
    const json = JSON.parse((await octavo(['inspect', model, '--json'])).output) as {
      tensors: unknown[];
      config: { layers: number };
      metadata: Record<string, unknown>;
    };
    expect(json.tensors).toHaveLength(21);
    expect(json.config.layers).toBe(2);
    expect(json.metadata['tokenizer.ggml.tokens']).toMatchObject({ length: TINY_VOCABULARY });
  });

  test('an unknown architecture can be looked at', async () => {
    const path = join(folder, 'strange.gguf');
    writeFileSync(path, tinyModel({ metadata: { 'general.architecture': 'strange' } }));
    const { code, output } = await octavo(['inspect', path, '--json']);
    expect(code).toBe(0);
    expect((JSON.parse(output) as { config: { problem: string } }).config.problem).toContain('strange');
  });

  test('what this machine offers', async () => {
    const { code, output } = await octavo(['doctor', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(output)).toMatchObject({
      wasm: { builds: { scalar: true } },
      choice: { kind: expect.any(String) },
    });
    expect((await octavo(['doctor'])).output).toContain('scalar');
  });
});

test('progress stays on one line of a narrow terminal', () => {
  const terminal = Object.assign(new Captured(), { isTTY: true, columns: 30 });
  new ProgressLine(terminal).bar('reading', 45, 90, '45 of 90 tokens of the document');
  const [, line = ''] = terminal.text.split('\x1b[2K');
  expect(line).toMatch(/^reading +50 % +45 of/);
  expect(line.length).toBeLessThan(30);
});

describe('how it fails', () => {
  test.each([
    [[], 0, ''],
    [['--help'], 0, ''],
    [['generate', '--help'], 0, ''],
    [['dance'], 2, "'dance' is not a command"],
    [['generate'], 2, '--model is missing: a path, a URL, hf:owner/repo/file.gguf, nano or nano-text'],
    [['paint', 'a cat'], 2, '-o or --out is missing'],
    [['generate', '--model', 'x', '--prompt', 'x', '--top-k', 'many'], 2, "'many' is not a number"],
    [['generate', '--model', 'x', '--prompt', 'x', '--device', 'tpu'], 2, 'auto, wasm, webgpu'],
    [
      ['generate', '--model', 'x', '--prompt', 'x', '--context', 'tiny'],
      2,
      'a number of tokens nor one of auto, exact',
    ],
    [['generate', '--model', 'x', '--prompt', 'x', '--strange'], 2, '--strange'],
    [['inspect'], 2, 'FILE is missing'],
    [['inspect', 'no-such-file.gguf'], 1, 'no-such-file.gguf'],
    [['inspect', 'a', 'b'], 2, "unexpected argument 'b'"],
  ])('%j: %d', async (args, code, problem) => {
    const result = await octavo(args);
    expect(result.code).toBe(code);
    expect(result.errors).toContain(problem);
    if (code === 1) expect(result.errors.trimEnd().split('\n')).toHaveLength(1);
    if (code === 0) expect(result.output).toContain('octavo');
  });

  test('--verbose shows the stack', async () => {
    expect((await octavo(['inspect', 'no-such-file.gguf', '--verbose'])).errors).toContain('    at ');
  });
});
