/** The server of examples, stories and benchmarks goes on after requests that ask for nothing that is there. */
import { expect, test } from '@jest/globals';
import { serve } from '../../tools/static-server.mjs';

test('addresses that are no encoding, and ranges behind the end', async () => {
  const server = await serve({ mounts: { '/': '.' } });
  const status = async (path: string, range?: string): Promise<number> =>
    (await fetch(server.origin + path, range === undefined ? {} : { headers: { range } })).status;
  expect(await status('/%E0%A4%A')).toBe(404);
  expect(await status('/LICENSE', 'bytes=99999999-')).toBe(416);
  expect(await status('/LICENSE', 'bytes=0-9')).toBe(206);
  await server.close();
});
