// Chromium and SwiftShader from npm (@sparticuz/chromium), unpacked once into node_modules/.cache: nothing else is needed to run WGSL or a browser.
import {
  createReadStream,
  existsSync,
  mkdirSync,
  createWriteStream,
  chmodSync,
  linkSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';
import tar from 'tar-fs';

const require = createRequire(import.meta.url);
const packageRoot = join(dirname(require.resolve('@sparticuz/chromium')), '..');
const { version } = require(join(packageRoot, 'package.json'));
const cache = join(packageRoot, '..', '..', '.cache', `octavo-chromium-${version}`);

/** Unpacks `bin/<name>` beside the others; safe against two processes at once, since the rename is atomic. */
async function unpack(name, target) {
  const done = join(cache, target);
  if (existsSync(done)) return done;
  mkdirSync(cache, { recursive: true });
  const partial = `${done}.${process.pid}`;
  const source = createReadStream(join(packageRoot, 'bin', name));
  if (name.endsWith('.tar.br')) await pipeline(source, createBrotliDecompress(), tar.extract(partial));
  else {
    await pipeline(source, createBrotliDecompress(), createWriteStream(partial));
    chmodSync(partial, 0o755);
  }
  try {
    renameSync(partial, done);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    if (!existsSync(done)) throw error;
  }
  return done;
}

/** Environment for a process that is to find SwiftShader through Vulkan (Dawn in Node). Must be set before it starts. */
export async function swiftshaderEnvironment() {
  const dir = await unpack('swiftshader.tar.br', 'swiftshader');
  const path = process.env.LD_LIBRARY_PATH;
  return { LD_LIBRARY_PATH: path ? `${dir}:${path}` : dir, VK_DRIVER_FILES: join(dir, 'vk_swiftshader_icd.json') };
}

/** Chromium's executable, with its libraries and SwiftShader beside it, and the environment it needs. */
export async function chromium() {
  const executable = await unpack('chromium.br', 'chromium');
  const swiftshader = await unpack('swiftshader.tar.br', 'swiftshader');
  // Chromium's WebGPU looks for SwiftShader beside the executable, and nowhere else.
  for (const name of readdirSync(swiftshader)) {
    const beside = join(dirname(executable), name);
    try {
      if (!existsSync(beside)) linkSync(join(swiftshader, name), beside);
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }
  const libraries = await unpack('al2023.tar.br', 'al2023');
  const fonts = await unpack('fonts.tar.br', 'fonts');
  const { LD_LIBRARY_PATH: path } = process.env;
  return {
    executable,
    env: {
      LD_LIBRARY_PATH: [join(libraries, 'lib'), swiftshader, path].filter(Boolean).join(':'),
      VK_DRIVER_FILES: join(swiftshader, 'vk_swiftshader_icd.json'),
      FONTCONFIG_PATH: join(fonts, 'fonts'),
    },
  };
}
