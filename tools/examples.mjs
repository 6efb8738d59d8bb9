// Installs and builds the web examples, for `npm start` and the stories: `node tools/examples.mjs [NAME...]`. What is built already from the same sources is left as it
// is, and of several processes that want it one works while the others wait.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const examples = join(root, 'examples');

/** Milliseconds after which a lock was left by a process that was killed. */
const STALE = 300_000;

async function locked(body) {
  const lock = join(examples, '.lock');
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > STALE)
        rmSync(lock, { recursive: true });
      else await setTimeout(200);
    }
  }
  try {
    return await body();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

/** Runs a command of Node, and throws with what it said where it fails. */
function run(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: '' },
      shell: process.platform === 'win32',
    });
    let said = '';
    child.stdout.on('data', (chunk) => (said += chunk));
    child.stderr.on('data', (chunk) => (said += chunk));
    child.on('error', reject);
    child.on('exit', (code) =>
      code === 0 ? resolve(said) : reject(new Error(`${command} ${args.join(' ')}: ${said}`)),
    );
  });
}

async function install() {
  const lock = readFileSync(join(examples, 'package-lock.json'));
  const key = createHash('sha256').update(lock).digest('hex');
  const note = join(examples, 'node_modules/.octavo-lock');
  if (existsSync(note) && readFileSync(note, 'utf8') === key) return;
  await run('npm', ['ci', '--no-audit', '--no-fund', '--prefer-offline'], examples);
  writeFileSync(note, key);
}

/** All that a build is made of: its sources, what examples share, and the built package. */
function fingerprint(name) {
  const hash = createHash('sha256');
  const add = (folder, content) => {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => !file.startsWith(join(examples, name, 'dist')))
      .sort();
    for (const file of files) {
      const { size, mtimeMs } = statSync(file);
      hash.update(`${file} ${content ? '' : `${size} ${mtimeMs}`}`);
      if (content) hash.update(readFileSync(file));
    }
  };
  add(join(examples, name), true);
  add(join(examples, 'common'), true);
  add(join(root, 'dist'), false);
  hash.update(readFileSync(join(examples, 'package-lock.json')));
  return hash.digest('hex');
}

/**
 * Builds an example into its `dist` folder, and resolves with that folder. `check`: also check its types.
 * @param {string} name
 * @param {{ check?: boolean }} [options]
 */
export function buildExample(name, { check = false } = {}) {
  return locked(async () => {
    await install();
    const folder = join(examples, name, 'dist');
    const note = join(examples, 'node_modules', `.built-${name}`);
    const key = fingerprint(name);
    if (check)
      await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(examples, name)], root);
    if (existsSync(folder) && existsSync(note) && readFileSync(note, 'utf8') === key) return folder;
    await run(
      process.execPath,
      [join(examples, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'warn'],
      join(examples, name),
    );
    writeFileSync(note, key);
    return folder;
  });
}

/** The examples that are built by Vite. */
export function webExamples() {
  return readdirSync(examples).filter((name) => existsSync(join(examples, name, 'vite.config.mjs')));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const wanted = process.argv.slice(2);
  for (const name of wanted.length > 0 ? wanted : webExamples()) console.log(await buildExample(name, { check: true }));
}
