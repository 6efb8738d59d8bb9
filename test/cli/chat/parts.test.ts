/** The parts of `octavo chat`: messages of several lines, the history file, transcripts, what is written of an answer. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { AnswerWriter, writeSpeed } from '../../../src/cli/chat/answer-writer.ts';
import { completions } from '../../../src/cli/chat/commands.ts';
import { History } from '../../../src/cli/chat/history.ts';
import { MultiLine } from '../../../src/cli/chat/multi-line.ts';
import { readTranscript } from '../../../src/cli/chat/transcript.ts';
import { styled } from '../../../src/cli/style.ts';
import type { CliContext } from '../../../src/cli/terminal.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-chat-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('messages of several lines', () => {
  const messages = (...lines: string[]): unknown[] => {
    const reader = new MultiLine();
    const out: unknown[] = lines.map((line) => reader.add(line)).filter((message) => message !== undefined);
    const rest = reader.end();
    return rest === undefined ? out : [...out, rest];
  };
  test.each<[string[], [string, boolean][]]>([
    [
      ['one', 'two'],
      [
        ['one', true],
        ['two', true],
      ],
    ],
    [
      ['one\\', 'two', 'three'],
      [
        ['one\ntwo', false],
        ['three', true],
      ],
    ],
    [['an even number \\\\'], [['an even number \\\\', true]]],
    [['an odd number \\\\\\', 'x'], [['an odd number \\\\\nx', false]]],
    [
      ['"""one', '', '  two\\', '/three"""', 'four'],
      [
        ['one\n\n  two\\\n/three', false],
        ['four', true],
      ],
    ],
    [['"""', 'one', '"""'], [['one', false]]],
    [['"""one line"""'], [['one line', false]]],
    [['"""""" '], [['', false]]],
    [['it says """ within'], [['it says """ within', true]]],
    [['"""unfinished', 'at the end'], [['unfinished\nat the end', false]]],
    [['recalled\nas a whole\\'], [['recalled\nas a whole\\', false]]],
  ])('%j', (lines, expected) => {
    expect(messages(...lines)).toEqual(expected.map(([text, line]) => ({ text, line })));
  });

  test('what is pasted is taken as it is, and sent by the next line end', () => {
    const reader = new MultiLine();
    for (const line of ['"""', 'def f():\\', '\treturn 1']) expect(reader.add(line, true)).toBeUndefined();
    expect(reader.pending).toBe(true);
    expect(reader.add('x')).toEqual({ text: '"""\ndef f():\\\n\treturn 1\nx', line: false });
    expect(reader.pending).toBe(false);
  });
});

describe('history', () => {
  const lines = (file: string): string[] => readFileSync(file, 'utf8').trimEnd().split('\n');

  test('newest first, each text once, several lines a message, readable for the owner only', async () => {
    const file = join(folder, 'deep', 'history.jsonl');
    const history = await History.open(file);
    for (const text of ['one', 'two\nlines', 'one', '  ', 'x'.repeat(20_001)]) await history.add(text);
    expect(history.entries).toEqual(['one', 'two\nlines']);
    expect((await History.open(file)).entries).toEqual(['one', 'two\nlines']);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    chmodSync(file, 0o644);
    await history.add('three');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(lines(file)).toHaveLength(4);
  });

  test('a damaged file is read as far as it goes; a long one is cut to its newest thousand', async () => {
    const file = join(folder, 'history.jsonl');
    writeFileSync(file, `"a"\nnot JSON\n{"b":1}\n3\n${JSON.stringify('x'.repeat(30_000))}\n"c"\n"half`);
    expect((await History.open(file)).entries).toEqual(['c', 'a']);
    writeFileSync(file, Array.from({ length: 2500 }, (_, i) => `"m${i}"\n`).join(''));
    const { entries } = await History.open(file);
    expect([entries.length, entries[0], entries.at(-1)]).toEqual([1000, 'm2499', 'm1500']);
    expect([lines(file).length, lines(file)[0]]).toEqual([1000, '"m1500"']);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('a file that cannot be written disturbs nobody, and without a file nothing is written', async () => {
    writeFileSync(join(folder, 'plain'), '');
    const history = await History.open(join(folder, 'plain', 'history.jsonl'));
    await history.add('kept for this conversation');
    expect(history.entries).toEqual(['kept for this conversation']);
    const none = await History.open(undefined);
    await none.add('here');
    expect(none.entries).toEqual(['here']);
  });
});

class Captured extends Writable {
  text = '';
  readonly isTTY: boolean;
  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

describe('what is written of an answer', () => {
  const before = { ...process.env };
  afterEach(() => {
    process.env['NO_COLOR'] = before['NO_COLOR'];
    if (before['NO_COLOR'] === undefined) delete process.env['NO_COLOR'];
  });
  const written = async (terminal: boolean): Promise<string> => {
    const output = new Captured(terminal);
    const writer = new AnswerWriter(output);
    await writer.write({ type: 'thinking', text: '\nWell' });
    await writer.write({ type: 'thinking', text: ', \u001b[2J.' });
    await writer.write({ type: 'text', text: '\n\n' });
    await writer.write({ type: 'text', text: ' Red.' });
    await writer.write({ type: 'text', text: ' Or blue.' });
    await writer.end();
    return output.text;
  };

  test('thoughts are faint on a terminal, marked without colours, and left out of a pipe', async () => {
    delete process.env['NO_COLOR'];
    process.env['TERM'] = 'xterm';
    expect(await written(true)).toBe('\u001b[2mWell, \\x1b[2J.\u001b[0m\n\nRed. Or blue.\n');
    process.env['NO_COLOR'] = '1';
    expect(await written(true)).toBe('(thinking) Well, \\x1b[2J.\n(answer)\n\nRed. Or blue.\n');
    expect(await written(false)).toBe('Red. Or blue.\n');
  });

  test('escape codes go to terminals that take them', () => {
    expect(styled({ isTTY: true }, { TERM: 'xterm' })).toBe(true);
    expect(styled({ isTTY: true }, { TERM: 'xterm', NO_COLOR: '' })).toBe(true);
    expect(styled({ isTTY: true }, { TERM: 'xterm', NO_COLOR: '1' })).toBe(false);
    expect(styled({ isTTY: true }, { TERM: 'dumb' })).toBe(false);
    expect(styled({}, { TERM: 'xterm' })).toBe(false);
  });

  test('speed', async () => {
    process.env['NO_COLOR'] = '1';
    const errors = new Captured(true);
    await writeSpeed(
      {
        finishReason: 'loop',
        ids: [],
        tokens: { prompt: 50, cached: 8, generated: 12 },
        time: { prefill: 1, decode: 1 },
        rate: { prefill: 200.4, decode: 30.06 },
      },
      { contextUsage: 62, contextWindow: 2048 },
      { errors } as unknown as CliContext,
    );
    expect(errors.text).toBe(
      '12 tokens at 30.1/s; 42 read at 200/s, 8 reused; context 62 of 2048; ended because it repeated itself\n',
    );
  });
});

test('Tab completes commands, and files behind commands that take them', async () => {
  expect(await completions('/s')).toEqual(['/system', '/save']);
  expect(await completions('/undo ')).toEqual([]);
  writeFileSync(join(folder, 'talk one.json'), '');
  expect(await completions(`/load ${folder}/talk`)).toEqual([`/load ${folder}/talk one.json`]);
  expect(await completions(`/load ${folder}/dee`)).toEqual([`/load ${folder}/deep/`]);
  expect(await completions(`/load ${folder}/none/x`)).toEqual([]);
});

describe('a saved conversation that is read', () => {
  const read = async (content: unknown): Promise<unknown> => {
    const file = join(folder, 'given.json');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return readTranscript(file);
  };
  const format = 'octavo-conversation';
  test('is checked', async () => {
    const messages = [
      { role: 'system', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'image', value: 'cat.png' },
          { type: 'text', value: 'What?' },
        ],
      },
      { role: 'assistant', content: 'A cat', thinking: 'Hm.', stopped: true, more: 1 },
    ];
    expect(await read({ format, messages })).toEqual({
      system: 'Be brief.',
      said: [messages[1], { role: 'assistant', content: 'A cat', thinking: 'Hm.', stopped: true }],
    });
    for (const wrong of [
      'not JSON',
      [],
      { messages },
      { format, messages: 3 },
      { format, messages: [{ role: 'user', content: 3 }] },
      { format, messages: [{ role: 'user', content: [{ type: 'audio', value: 'x' }] }] },
      {
        format,
        messages: [
          { role: 'user', content: 'x' },
          { role: 'system', content: 'late' },
        ],
      },
      '['.repeat(100_000),
    ])
      await expect(read(wrong)).rejects.toMatchObject({
        name: 'FileError',
        code: expect.stringMatching(/malformed|limit/),
      });
    await expect(readTranscript(join(folder, 'none.json'))).rejects.toMatchObject({ code: 'missing' });
  });

  test('fetches nothing from a server', async () => {
    const value = 'https://example.com/seen.png';
    const messages = [{ role: 'user', content: [{ type: 'image', value }] }];
    await expect(read({ format, messages })).rejects.toMatchObject({ code: 'unsupported' });
  });
});
