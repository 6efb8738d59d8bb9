/** What servers do: refusing, breaking, compressing, changing, lying. Afterwards the server is mended, and the next load must succeed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OctavoError } from '../../src/errors.ts';
import { openModel, type OpenOptions } from '../../src/load/index.ts';
import { FolderRecords } from '../../src/store/folder-records.ts';
import { ModelStore } from '../../src/store/model-store.ts';
import { readAll, weightNoise } from '../load/collect.ts';
import { FileServer } from '../load/server.ts';
import { f32Tensor, writeGguf } from '../support/gguf-writer.ts';
import type { Random } from '../support/random.ts';
import { mutate } from './mutate.ts';
import { Wrong, type Fuzzer } from './run.ts';

const RETRY = { attempts: 3, delay: () => 0, stall: 300 };

export async function httpFuzzer(): Promise<Fuzzer> {
  const server = new FileServer();
  const base = await server.start();
  const root = mkdtempSync(join(tmpdir(), 'octavo-fuzz-'));
  const big = f32Tensor('big', [16, 600], new Float32Array(weightNoise(4 * 9600).buffer));
  const file = writeGguf({ 'general.architecture': 'llama' }, [big]);
  const pages = [
    '<!doctype html><p>no',
    'version https://git-lfs.github.com/spec/v1\n',
    '{"error":"no"}',
    '',
    'GGUF',
  ].map((text) => new TextEncoder().encode(text));
  const validator = (r: Random, tag: string): { etag?: string | undefined; lastModified?: string | undefined } =>
    r.pick([{}, { etag: `"${tag}"` }, { etag: `W/"${tag}"` }, { lastModified: 'Thu, 01 Jan 2026 00:00:00 GMT' }]);

  /** True where what came is right; throws `Wrong` where it is not. */
  const load = async (options: OpenOptions): Promise<void> => {
    const read = await readAll(await openModel(`${base}/m.gguf`, options));
    if (read.size !== 1 || Buffer.compare(read.get('big')!, big.data) !== 0)
      throw new Wrong('other weights than the file has');
  };
  let places = 0;
  return {
    async run(r) {
      server.reset();
      const store = r.integer(0, 3) === 0 ? false : new ModelStore(new FolderRecords(join(root, String(places++))));
      const options: OpenOptions = { retry: RETRY, store };
      const body = r.integer(0, 4) === 0 ? r.pick([...pages, mutate(file.subarray(0, 200), r)]) : file;
      server.files.set('/m.gguf', { bytes: body, ...validator(r, 'one') });
      const sometimes = <T>(share: number, value: T, other: T): T => (r.uniform() < share ? value : other);
      const plan = Array.from({ length: 40 }, () => r.uniform());
      const at = (n: number): number => plan[n % plan.length] ?? 0;
      const [breaks, stops, fails] = [sometimes(0.4, 0.5, 0), sometimes(0.2, 0.3, 0), sometimes(0.3, 0.4, 0)];
      const statuses = [500, 503, 429, 404, 416, 403];
      server.behaviour = {
        ...FileServer.good(),
        ranges: sometimes(0.8, true, false),
        length: sometimes(0.7, true, false),
        refuse: sometimes(0.2, r.pick([400, 405, 406, 416, 501]), undefined),
        gzip: sometimes(0.15, true, false),
        endless: sometimes(0.05, true, false),
        redirect: r.uniform() < 0.05 ? () => '/m.gguf' : () => undefined,
        breakAfter: (n) => (at(n) < breaks ? Math.floor(at(n + 7) * body.length) : undefined),
        endAfter: (n) => (at(n + 3) < stops ? Math.floor(at(n + 9) * body.length) : undefined),
        status: (n) => (at(n + 5) < fails ? statuses[Math.floor(at(n + 11) * statuses.length)] : undefined),
        chunk: 4096,
      };
      let outcome: string;
      try {
        await load(options);
        outcome = 'the right weights';
      } catch (fault) {
        if (!(fault instanceof OctavoError)) throw fault;
        outcome = `${fault.name} ${fault.code}`;
      }
      server.reset();
      server.files.set('/m.gguf', { bytes: file, etag: '"two"' });
      try {
        await load(options);
      } catch (fault) {
        throw new Wrong(
          `the server was mended, and loading fails: ${fault instanceof Error ? fault.message : String(fault)}`,
        );
      }
      if (store !== false) await store.remove(`${base}/m.gguf`);
      return `${outcome}, then healed`;
    },
    async close() {
      await server.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
