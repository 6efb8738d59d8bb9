/** Saved sessions on the disk: a damaged one is refused or shortened, and never answers differently. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderShelf } from '../../src/store/folder-shelf.ts';
import { testFace, testPlatform } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { mutate } from './mutate.ts';
import { Wrong, type Fuzzer } from './run.ts';

const GREEDY = { temperature: 0, maxTokens: 6, context: { share: false } } as const;
const DOCUMENT = Array.from({ length: 12 }, (_, i) => `Fact ${i}.`).join(' ');

export async function sessionFuzzer(): Promise<Fuzzer> {
  const root = mkdtempSync(join(tmpdir(), 'octavo-fuzz-'));
  const [good, place] = [join(root, 'good'), join(root, 'place')];
  const open = (folder: string) => {
    const face = testFace(undefined, { ...testPlatform, sessions: () => new FolderShelf(folder) });
    return face.load(tinyModel({ window: 1024 }), { device: 'wasm', threads: 1 });
  };
  const first = await open(good);
  const session = await first.createSession(GREEDY);
  await session.append(DOCUMENT);
  await session.prompt('Well?');
  await session.save('one');
  const right = await session.prompt('And then?');
  await first.destroy();
  const model = await open(place);
  const files = readdirSync(good, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(good.length));
  return {
    async run(r) {
      rmSync(place, { recursive: true, force: true });
      cpSync(good, place, { recursive: true });
      const file = r.pick(files);
      writeFileSync(join(place, file), mutate(readFileSync(join(good, file)), r));
      const resumed = await model.resumeSession('one');
      try {
        const found = await resumed.prompt('And then?');
        if (found !== right) throw new Wrong(`${JSON.stringify(found)} in place of ${JSON.stringify(right)}`);
        return 'the right answer';
      } finally {
        resumed.destroy();
      }
    },
    async close() {
      await model.destroy();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
