/** `octavo chat` in this process: on a terminal that the test plays, and through a pipe. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { run } from '../../../src/cli/run.ts';
import { createFace } from '../../../src/face/octavo.ts';
import { testPlace, testPlatform } from '../../support/engine.ts';
import { encodePng } from '../../../src/vision/png.ts';
import { tinyModel } from '../../support/tiny-model.ts';
import { tinyUniPic } from '../../support/tiny-unipic.ts';

let folder: string;
let model: string;
let sighted: string;
const environment = { ...process.env };
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-chat-'));
  model = join(folder, 'tiny.gguf');
  writeFileSync(model, tinyModel({ window: 2048 }));
  process.env['OCTAVO_CACHE'] = join(folder, 'cache');
  process.env['NO_COLOR'] = '1';
});
afterAll(() => {
  for (const name of ['OCTAVO_CACHE', 'NO_COLOR'])
    if (environment[name] === undefined) delete process.env[name];
    else process.env[name] = environment[name];
  rmSync(folder, { recursive: true, force: true });
});

class Screen extends Writable {
  text = '';
  readonly isTTY: boolean;
  readonly columns = 100;
  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

const OPTIONS = ['--temperature', '0', '--device', 'wasm', '--threads', '1'];

function start(args: string[], input: Readable, output: Screen, errors: Screen): Promise<number> {
  const place = testPlace();
  const context = { input, output, errors, face: createFace(place), place, platform: testPlatform, version: '1.2.3' };
  return run(['chat', '--model', model, ...OPTIONS, ...args], context);
}

async function piped(input: string, ...args: string[]): Promise<{ code: number; output: string; errors: string }> {
  const [output, errors] = [new Screen(false), new Screen(false)];
  const code = await start(['--max-tokens', '4', ...args], Readable.from([Buffer.from(input)]), output, errors);
  return { code, output: output.text, errors: errors.text };
}

/** Somebody at a terminal: `type` sends keys; `see` waits for a text and forgets what came before it. */
class Terminal {
  readonly input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined });
  readonly screen = new Screen(true);
  readonly ended: Promise<number>;

  constructor(...args: string[]) {
    this.ended = start(args, this.input, this.screen, this.screen);
  }

  type(keys: string): void {
    this.input.write(keys);
  }

  async see(expected: RegExp): Promise<string> {
    const until = Date.now() + 20_000;
    for (;;) {
      const found = expected.exec(this.screen.text);
      if (found !== null) {
        this.screen.text = this.screen.text.slice(found.index + found[0].length);
        return found[0];
      }
      if (Date.now() > until) throw new Error(`${expected} did not come; the screen shows ${this.screen.text}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

const ENTER = '\r';
const UP = '\u001b[A';
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const pasted = (text: string): string => `\u001b[200~${text}\u001b[201~`;

/** The messages of a conversation, as `/save` writes them. */
function saved(file: string): { role: string; content: unknown; stopped?: boolean }[] {
  return (JSON.parse(readFileSync(file, 'utf8')) as { messages: { role: string; content: string }[] }).messages;
}

describe('through a pipe', () => {
  test('several lines a message, commands, and no escape codes', async () => {
    const file = join(folder, 'piped.json');
    const { code, output, errors } = await piped(
      `one\\\ntwo\n"""\nthree\n/four\n"""\n//five\n/nonsense\n/save ${file}\n/exit\nnever\n`,
    );
    expect(code).toBe(0);
    expect(
      saved(file)
        .map(({ content }) => content)
        .filter((_, i) => i % 2 === 0),
    ).toEqual(['one\ntwo', 'three\n/four', '/five']);
    expect(output.trimEnd().split('\n')).toHaveLength(3);
    expect(errors).toContain('/nonsense is not a command');
    // oxlint-disable-next-line no-control-regex
    expect(output + errors).not.toMatch(/\u001b/);
    expect(existsSync(join(folder, 'cache', 'chat-history.jsonl'))).toBe(false);
  });

  test('/undo, /retry, /clear, /system and /load lead where the same conversation leads', async () => {
    const [one, two] = [join(folder, 'one.json'), join(folder, 'two.json')];
    const { errors } = await piped(
      `A\nB\n/undo\n/system Be brief.\n/undo\nA\nC\n/retry\n/save ${one}\n/clear\n/undo\n/load ${one}\nD\n/save ${two}\n`,
    );
    expect(errors).toContain('took back: B');
    expect(errors).toContain('octavo: nothing was asked yet');
    const straight = join(folder, 'straight.json');
    await piped(`A\nC\nD\n/save ${straight}\n`, '--system', 'Be brief.');
    expect(saved(two)).toEqual(saved(straight));
    expect(saved(one)).toEqual(saved(straight).slice(0, 5));
    expect(saved(straight).map(({ role }) => role)).toEqual([
      'system',
      ...Array.from({ length: 3 }, () => ['user', 'assistant']).flat(),
    ]);
  });

  test('/retry with a seed draws another answer, the same one every time', async () => {
    const file = join(folder, 'retry.json');
    const answers = async (): Promise<unknown[]> => {
      const { output } = await piped(`A\n/retry\n/retry\n/save --force ${file}\n`, '--seed', '7', '--temperature', '1');
      expect(saved(file)).toHaveLength(2);
      return output.trimEnd().split('\n');
    };
    const first = await answers();
    expect(new Set(first).size).toBe(3);
    expect(await answers()).toEqual(first);
  });

  test('/save as Markdown; a file that exists is not overwritten, but for its own', async () => {
    const file = join(folder, 'talk.md');
    const { errors } = await piped(`A\n/save ${file}\nB\n/save '${file}'\n/save\n`, '--system', 'Be brief.');
    expect(errors).toContain('the name of a file is missing');
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(
      /^# Conversation with .*tiny\.gguf\n\n## System\n\nBe brief\.\n\n## Question\n\nA\n\n## Answer\n\n/,
    );
    expect(text.match(/## Question/g)).toHaveLength(2);
    expect((await piped(`C\n/save ${file}\n`)).errors).toContain('exists; choose another name');
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('/image where the model reads text only, /think, /model', async () => {
    const { errors, code } = await piped('/image cat.png\n/think maybe\n/think off\nA\n/model\n');
    expect(code).toBe(0);
    expect(errors).toMatch(/octavo: \/image: this model reads text only .*load a model that sees/);
    expect(errors).toContain('/think takes on, off or auto');
    expect(errors).toMatch(/model +.*tiny\.gguf, llama/);
    expect(errors).toMatch(/context +\d+ of 2048 tokens, 2 messages/);
  });

  test('/image shows a picture with the next message, and again after /undo', async () => {
    sighted = join(folder, 'sighted.gguf');
    writeFileSync(sighted, tinyUniPic({}));
    const picture = join(folder, 'red square.png');
    writeFileSync(
      picture,
      await encodePng({ width: 16, height: 16, data: new Uint8ClampedArray(16 * 16 * 4).fill(200) }),
    );
    const file = join(folder, 'seen.json');
    const { errors } = await piped(
      `/image none.png\n/image ${picture.replaceAll(' ', '\\ ')}\nWhat?\nAnd?\n/undo\n/save ${file}\n`,
      '--model',
      sighted,
    );
    expect(errors).toContain('none.png');
    expect(errors).toMatch(/red square\.png, \d+ x \d+: the next message shows it/);
    expect(saved(file)[0]).toEqual({
      role: 'user',
      content: [
        { type: 'image', value: picture },
        { type: 'text', value: 'What?' },
      ],
    });
    expect(saved(file)).toHaveLength(2);
  });
});

describe('at a terminal', () => {
  test('prompts, speed, a message of several lines, a paste, and what earlier sessions typed', async () => {
    const file = join(folder, 'typed.json');
    const first = new Terminal('--max-tokens', '4');
    await first.see(/tiny\.gguf on .*\/help lists the commands\.\n/);
    await first.see(/> /);
    first.type(`one\\${ENTER}`);
    await first.see(/\.\.\. /);
    first.type(`two${ENTER}`);
    expect(await first.see(/4 tokens.*\n/)).toMatch(
      /4 tokens at [\d.]+\/s; \d+ read at \d+\/s, 0 reused; context \d+ of 2048/,
    );
    await first.see(/> /);
    // Sent by the next Enter, whatever the paste holds.
    first.type(`see: ${pasted('a\tb\r"""\r/help\\\r')}`);
    await first.see(/help/);
    first.type(`end${ENTER}`);
    await first.see(/4 tokens.*\n/);
    first.type(`/save ${file}${ENTER}`);
    await first.see(/saved/);
    first.type(CTRL_D);
    expect(await first.ended).toBe(0);
    expect(
      saved(file)
        .map(({ content }) => content)
        .filter((_, i) => i % 2 === 0),
    ).toEqual(['one\ntwo', 'see: a\tb\n"""\n/help\\\nend']);

    const second = new Terminal('--max-tokens', '4');
    await second.see(/> /);
    second.type(`${UP}${UP}${UP}${ENTER}`);
    await second.see(/4 tokens.*\n/);
    second.type(`/save --force ${file}${ENTER}/bye${ENTER}`);
    expect(await second.ended).toBe(0);
    expect(saved(file)[0]).toEqual({ role: 'user', content: 'one\ntwo' });
  });

  test('Ctrl-C stops an answer and keeps it, gives up a line, and twice ends the program', async () => {
    const file = join(folder, 'stopped.json');
    const there = new Terminal('--max-tokens', '1500', '--temperature', '2', '--top-k', '10', '--no-history');
    await there.see(/> /);
    there.type(`go on${ENTER}`);
    await there.see(/24 tokens.*?\[2K.{20}/s);
    there.type(CTRL_C);
    await there.see(/\(stopped\)/);
    await there.see(/> /);
    there.type(`half a line${CTRL_C}`);
    await there.see(/\^C\n/);
    there.type(`"""${ENTER}lost${ENTER}`);
    await there.see(/lost/);
    there.type(`${CTRL_C}/save ${file}${ENTER}`);
    await there.see(/saved/);
    await there.see(/> /);
    there.type(CTRL_C);
    await there.see(/Ctrl-C once more/);
    there.type(`/help${ENTER}`);
    await there.see(/\/undo/);
    there.type(CTRL_C);
    await there.see(/Ctrl-C once more/);
    there.type(CTRL_C);
    expect(await there.ended).toBe(0);
    const messages = saved(file);
    expect(messages).toHaveLength(2);
    expect(messages[1]).toMatchObject({ role: 'assistant', stopped: true });
    expect(String(messages[1]!.content).length).toBeGreaterThanOrEqual(20);
    expect(readFileSync(join(folder, 'cache', 'chat-history.jsonl'), 'utf8')).not.toContain('go on');
  });

  test('what is typed during an answer comes after it', async () => {
    const there = new Terminal('--max-tokens', '300', '--temperature', '2', '--top-k', '10', '--no-history');
    await there.see(/> /);
    there.type(`go on${ENTER}`);
    await there.see(/24 tokens.*?\[2K.{5}/s);
    there.type(`/system${ENTER}`);
    await there.see(/300 tokens.*\n/);
    await there.see(/> \/system\n.*no system message/s);
    there.type(CTRL_D);
    expect(await there.ended).toBe(0);
  });
});
