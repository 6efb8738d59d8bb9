/** The built `octavo chat` on a real terminal, as the operating system makes one. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { tinyModel } from '../../support/tiny-model.ts';

const PLAYER = fileURLToPath(new URL('pseudo-terminal.py', import.meta.url));
const OCTAVO = fileURLToPath(new URL('../../../dist/cli.js', import.meta.url));
/** Windows has no such terminals, and some machines no Python. */
const possible = process.platform !== 'win32' && spawnSync('python3', ['-c', 'import pty']).status === 0;
const built = existsSync(OCTAVO);

let folder: string;
let model: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-pty-'));
  model = join(folder, 'tiny.gguf');
  writeFileSync(model, tinyModel({ window: 2048 }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Step = readonly ['see', string] | readonly ['type', string] | readonly ['end'];

async function play(
  environment: Readonly<Record<string, string>>,
  ...steps: Step[]
): Promise<{ status: number; missed: string | null; screen: string }> {
  const command = [
    process.execPath,
    OCTAVO,
    'chat',
    '--model',
    model,
    '--device',
    'wasm',
    '--threads',
    '1',
    '--top-k',
    '10',
    '--temperature',
    '2',
  ];
  const { NO_COLOR: _, ...inherited } = process.env;
  const child = spawn('python3', [PLAYER, ...command], {
    env: { ...inherited, TERM: 'xterm', OCTAVO_CACHE: join(folder, 'cache'), NODE_OPTIONS: '', ...environment },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stdin.end(steps.map((step) => `${JSON.stringify(step)}\n`).join(''));
  await new Promise((resolve) => child.on('close', resolve));
  return JSON.parse(output) as { status: number; missed: string | null; screen: string };
}

(possible && built ? test : test.skip)('a conversation, a paste, an answer that is stopped, and the end', async () => {
  const file = join(folder, 'talk.json');
  const { status, missed, screen } = await play(
    {},
    // Pastes are marked from here on.
    ['see', '\\[\\?2004h.*/help lists the commands.*> '],
    ['type', '\u001b[200~one\rtwo\u001b[201~'],
    ['see', 'two'],
    ['type', '\r'],
    ['see', '\\d read.*> '],
    ['type', 'go on for long\r'],
    ['see', 'tokens.*\\[2K.{10}'],
    ['type', '\u0003'],
    ['see', '> '],
    ['type', `/save ${file}\r`],
    ['see', 'saved: .*> '],
    ['type', '\u0003'],
    ['see', 'Ctrl-C once more.*> '],
    ['type', '\u0003'],
    ['end'],
  );
  expect({ status, missed }).toEqual({ status: 0, missed: null });
  const { messages } = JSON.parse(readFileSync(file, 'utf8')) as { messages: { content: string }[] };
  expect(messages[0]).toEqual({ role: 'user', content: 'one\ntwo' });
  expect(screen).toContain('\u001b[2m');
  expect(screen.lastIndexOf('\u001b[?2004l')).toBeGreaterThan(screen.lastIndexOf('\u001b[?2004h'));
  expect(statSync(join(folder, 'cache', 'chat-history.jsonl')).mode & 0o777).toBe(0o600);
});

(possible && built ? test : test.skip)(
  'arrow keys bring what earlier conversations said; without colours nothing is faint',
  async () => {
    const { status, missed, screen } = await play(
      { NO_COLOR: '1' },
      ['see', '> '],
      ['type', '\u001b[A\u001b[A'],
      ['see', 'go on for long'],
      ['type', '\u0015\u0004'],
      ['end'],
    );
    expect({ status, missed }).toEqual({ status: 0, missed: null });
    expect(screen).not.toMatch(/\u001b\[[0-9]*m|2004/);
  },
);
