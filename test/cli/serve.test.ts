/** `octavo serve`: OpenAI's package over HTTP, what may not ask, aborted requests; and the built command as a process. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { startServer, type HttpOptions, type HttpServer } from '../../src/cli/http-server.ts';
import { run } from '../../src/cli/run.ts';
import { createFace } from '../../src/face/octavo.ts';
import { createFetch } from '../../src/openai/index.ts';
import type { OctavoModel } from '../../src/public.ts';
import { testFace, testPlace, testPlatform } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

let model: OctavoModel;
const servers: HttpServer[] = [];
beforeAll(async () => {
  model = await testFace().load(tinyModel(), { device: 'wasm', threads: 1 });
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
  await model.destroy();
});

async function serve(options: Partial<HttpOptions> = {}): Promise<string> {
  const handler = createFetch(model, { maxBody: 100_000 });
  const server = await startServer(handler, { host: '127.0.0.1', port: 0, origins: [], ...options });
  servers.push(server);
  return server.url;
}

const HELLO = (): OpenAI.ChatCompletionCreateParamsNonStreaming => ({
  model: 'any',
  messages: [{ role: 'user', content: 'Hello' }],
  temperature: 0,
  max_tokens: 12,
});

async function truth(): Promise<string> {
  const session = await model.createSession();
  const text = await session.prompt('Hello', { temperature: 0, maxTokens: 12 });
  session.destroy();
  return text;
}

/** The status and headers of one request, with any headers; fetch would set its own Host and Origin. */
function ask(
  url: string,
  headers: Readonly<Record<string, string>>,
  { method = 'GET', path = '/v1/models', body = '' } = {},
): Promise<{ readonly status: number; readonly headers: NodeJS.Dict<string | string[]>; readonly code: unknown }> {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}${path}`, { method, headers }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => {
        const { error } = (text === '' ? {} : JSON.parse(text)) as { error?: { code: unknown } };
        resolve({ status: response.statusCode ?? 0, headers: response.headers, code: error?.code });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

describe('over HTTP', () => {
  test('answers, streams and requests at once', async () => {
    const client = new OpenAI({ apiKey: 'none', baseURL: `${await serve()}/v1`, maxRetries: 0 });
    const answers = await Promise.all([1, 2, 3].map(() => client.chat.completions.create(HELLO())));
    for (const { choices } of answers) expect(choices[0]!.message.content).toBe(await truth());
    let text = '';
    for await (const chunk of await client.chat.completions.create({ ...HELLO(), stream: true }))
      text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toBe(await truth());
    expect((await client.models.list()).data).toHaveLength(1);
    await expect(client.chat.completions.create({ ...HELLO(), temperature: 9 })).rejects.toMatchObject({
      status: 400,
      param: 'temperature',
    });
  });

  test('a client that goes away ends its answer', async () => {
    const client = new OpenAI({ apiKey: 'none', baseURL: `${await serve()}/v1`, maxRetries: 0 });
    const long = { ...HELLO(), max_tokens: 400, repetition_penalty: 1.3 };
    for await (const _ of await client.chat.completions.create({ ...long, stream: true })) break;
    const controller = new AbortController();
    const whole = client.chat.completions.create(long, { signal: controller.signal });
    setTimeout(() => controller.abort(), 30);
    await expect(whole).rejects.toThrow('aborted');
    const after = await client.chat.completions.create(HELLO());
    expect(after.choices[0]!.message.content).toBe(await truth());
    expect((await model.memory()).pages).toBe(0);
  });

  test('without the token nobody is answered', async () => {
    const url = await serve({ token: 'correct horse' });
    expect(await ask(url, {})).toMatchObject({ status: 401, code: 'invalid_api_key' });
    expect(await ask(url, { authorization: 'Bearer correct' })).toMatchObject({ status: 401 });
    expect(await ask(url, { authorization: 'Bearer correct horse' })).toMatchObject({ status: 200 });
    // With a token it may be reached by any name.
    expect(await ask(url, { authorization: 'Bearer correct horse', host: 'box.lan' })).toMatchObject({ status: 200 });
    const client = new OpenAI({ apiKey: 'correct horse', baseURL: `${url}/v1`, maxRetries: 0 });
    expect((await client.chat.completions.create(HELLO())).choices[0]!.message.content).toBe(await truth());
  });

  test('pages of other origins, and names that were pointed here, are refused', async () => {
    const url = await serve();
    const origin = 'https://example.org';
    const refused = await ask(url, { origin });
    expect(refused).toMatchObject({ status: 403, code: 'origin_not_allowed' });
    expect(refused.headers).not.toHaveProperty('access-control-allow-origin');
    const form = { method: 'POST', path: '/v1/chat/completions', body: JSON.stringify(HELLO()) };
    expect(await ask(url, { origin, 'content-type': 'text/plain' }, form)).toMatchObject({ status: 403 });
    expect(await ask(url, { host: 'evil.example:80' })).toMatchObject({ status: 403, code: 'host_not_allowed' });
    for (const host of ['localhost:1', '127.0.0.1', '[::1]:8080'])
      expect(await ask(url, { host })).toMatchObject({ status: 200 });
  });

  test('pages of an origin that is named may ask', async () => {
    const url = await serve({ origins: ['https://example.org'], token: 't' });
    const origin = 'https://example.org';
    const asked = {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'x-a, authorization',
    };
    const { status, headers } = await ask(url, asked, { method: 'OPTIONS', path: '/v1/chat/completions' });
    expect(status).toBe(204);
    expect(headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-headers': 'x-a, authorization',
      vary: 'origin',
    });
    expect(await ask(url, { origin })).toMatchObject({
      status: 401,
      headers: { 'access-control-allow-origin': origin },
    });
    expect(await ask(url, { origin, authorization: 'Bearer t' })).toMatchObject({ status: 200 });
    expect(await ask(url, { origin: 'https://example.com' })).toMatchObject({ status: 403 });
  });

  test('large bodies, odd paths and methods', async () => {
    const url = await serve();
    const post = (body: string, path = '/v1/chat/completions') => ask(url, {}, { method: 'POST', path, body });
    expect(await post('x'.repeat(100_001))).toMatchObject({ status: 413, code: 'body_too_large' });
    expect(await post('{')).toMatchObject({ status: 400, code: 'invalid_json' });
    expect(await post('{}', '//evil.example/v1/none')).toMatchObject({ status: 404, code: 'unknown_url' });
    expect(await ask(url, {}, { method: 'DELETE' })).toMatchObject({ status: 405 });
  });
});

describe('the command', () => {
  test('is for this machine, unless there is a token; a taken port is told', async () => {
    const messages: string[] = [];
    const errors = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        messages.push(chunk.toString());
        done();
      },
    });
    const place = testPlace();
    const context = { output: errors, errors, face: createFace(place), place, platform: testPlatform, version: '1' };
    const octavo = (args: readonly string[]): Promise<number> =>
      run(['serve', ...args], { ...context, input: Readable.from([]) });
    expect(await octavo(['--host', '0.0.0.0'])).toBe(2);
    expect(messages.join('')).toContain('give --token');
    expect(await octavo(['--port', '99999'])).toBe(2);
    const folder = mkdtempSync(join(tmpdir(), 'octavo-serve-'));
    const file = join(folder, 'tiny.gguf');
    writeFileSync(file, tinyModel());
    const port = new URL(await serve()).port;
    expect(await octavo(['--model', file, '--port', port, '--device', 'wasm', '--threads', '1'])).toBe(1);
    expect(messages.join('')).toContain('EADDRINUSE');
    rmSync(folder, { recursive: true });
  });

  const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
  const built = existsSync(cli);
  if (!built) console.warn('skipped: dist/ is not built');
  (built ? test : test.skip)('from dist/: prints its address, answers, and ends when it is interrupted', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'octavo-serve-'));
    const file = join(folder, 'tiny.gguf');
    writeFileSync(file, tinyModel());
    const args = [cli, 'serve', '--model', file, '--port', '0', '--device', 'wasm', '--threads', '1'];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '', OCTAVO_TOKEN: 'secret' },
    });
    const ended = new Promise((resolve) => child.on('close', resolve));
    try {
      const [line] = (await new Promise<Buffer>((resolve) => child.stdout.once('data', resolve)))
        .toString()
        .split('\n');
      expect(line).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1$/);
      const client = new OpenAI({ apiKey: 'secret', baseURL: line!, maxRetries: 0 });
      expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['tiny.gguf']);
      const { choices } = await client.chat.completions.create(HELLO());
      expect(choices[0]!.message.content).toBe(await truth());
    } finally {
      child.kill('SIGINT');
    }
    expect(await ended).toBe(0);
    rmSync(folder, { recursive: true });
  });
});
