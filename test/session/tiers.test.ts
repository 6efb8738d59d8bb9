/** Sessions whose pages have left the device answer as if they had not. */
import 'fake-indexeddb/auto';
import { describe, expect, test } from '@jest/globals';
import type { ContextMemory } from '../../src/kv/tiers.ts';
import { Database } from '../../src/store/database.ts';
import { IndexedShelf } from '../../src/store/index.ts';
import { testFace, testPlatform } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';

const WASM = { device: 'wasm', threads: 1 } as const;
const DOCUMENT = Array.from({ length: 30 }, (_, i) => `Fact ${i}.`).join(' ');
/** A page of the tiny model; a block has two. */
const PAGE = 2 * 32 * 32 * 4;
let places = 0;

describe.each<[string, boolean]>([
  ['with a disk', true],
  ['without', false],
])('%s', (_, disk) => {
  test.each<[ContextMemory]>([[{ device: PAGE, host: PAGE }], [{ device: 24 * PAGE, host: 6 * PAGE }]])(
    'sessions under %j: questions in turn, a clone, a save',
    async (memory) => {
      const name = `tiers-${places++}`;
      const Octavo = testFace(undefined, {
        ...testPlatform,
        sessions: () => (disk ? new IndexedShelf(new Database(name)) : undefined),
      });
      const model = await Octavo.load(tinyModel({ window: 2048 }), WASM);
      const story = async (context: { share: boolean; memory?: ContextMemory }): Promise<string[]> => {
        const sessions = await Promise.all(
          [1, 2, 3].map(() => model.createSession({ temperature: 0, maxTokens: 8, context })),
        );
        const told: string[] = [];
        for (const [i, session] of sessions.entries()) await session.append(`${i} ${DOCUMENT}`);
        for (let round = 0; round < 2; round++)
          for (const session of sessions) told.push(await session.prompt('Well?'));
        const copy = await sessions[0]!.clone();
        told.push(await copy.prompt('And?'), await sessions[0]!.prompt('And?'));
        if (disk) await sessions[1]!.save('one');
        told.push(...(await Promise.all(sessions.map((session) => session.prompt('Last?')))));
        if (disk) told.push(await (await model.resumeSession('one')).prompt('Last?'));
        if (context.memory !== undefined) {
          const { parked } = await model.memory();
          expect(parked.host + parked.disk).toBeGreaterThan(0);
          expect(parked.disk > 0).toBe(disk);
        }
        for (const session of [...sessions, copy]) session.destroy();
        return told;
      };
      try {
        const expected = await story({ share: false });
        expect(await story({ share: false, memory })).toEqual(expected);
      } finally {
        await model.destroy();
      }
      if (disk) expect(await new Database(name).count(['lease'])).toBe(0);
    },
  );
});

test('a budget below a page is refused when the session is made', async () => {
  const Octavo = testFace(undefined, { ...testPlatform, sessions: undefined });
  const model = await Octavo.load(tinyModel(), WASM);
  try {
    for (const memory of [
      { device: PAGE - 1 },
      { host: 0 },
      { device: '5' as unknown as number },
      { disk: 5 } as ContextMemory,
    ]) {
      await expect(model.createSession({ context: { memory } })).rejects.toMatchObject({
        name: 'InputError',
        code: 'argument',
        message: expect.stringContaining('context.memory.'),
      });
    }
    await model.createSession({ context: { memory: { device: PAGE } } });
  } finally {
    await model.destroy();
  }
});
