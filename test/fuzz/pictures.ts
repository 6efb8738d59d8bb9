/** Image files of all formats that are read. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createNodeDecoder } from '../../src/platform/images-node.ts';
import { readImage } from '../../src/vision/index.ts';
import { mutate } from './mutate.ts';
import { Wrong, type Fuzzer } from './run.ts';

const FOLDER = 'test/fixtures/vision';

export async function imageFuzzer(): Promise<Fuzzer> {
  const decoder = createNodeDecoder();
  const files = readdirSync(FOLDER)
    .filter((name) => /\.(png|jpg|webp|gif|bmp|avif)$/.test(name))
    .map((name) => readFileSync(join(FOLDER, name)))
    .filter(({ length }) => length < 200_000);
  return {
    async run(r) {
      const { data, width, height } = await readImage(mutate(r.pick(files), r), { decoder });
      if (width < 1 || height < 1 || data.length !== 4 * width * height)
        throw new Wrong(`${width} x ${height} with ${data.length} bytes`);
      return 'an image';
    },
  };
}
