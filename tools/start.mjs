// npm start [-- --port N --host H --docs]: all examples in a browser. Builds the package and the applications where they are older than their sources, then serves
// them, cross-origin isolated, to this machine alone unless --host names another address (0.0.0.0: every network that it is in).
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { buildExample, webExamples } from './examples.mjs';
import { serve } from './static-server.mjs';

const folder = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** What the package is built of. */
const SOURCES = ['src', 'gpu', 'assembly', 'rollup.config.mjs', 'package-lock.json'];

function newest(path) {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function isBuilt() {
  // The last files that a build writes.
  const last = ['dist/react.js', 'dist/types/src/index.d.ts'].map(folder);
  if (!last.every((file) => existsSync(file))) return false;
  const built = Math.min(...last.map((file) => statSync(file).mtimeMs));
  return SOURCES.every((source) => newest(folder(source)) <= built);
}

function run(command, args, env = {}) {
  const { status } = spawnSync(command, args, {
    cwd: folder(''),
    stdio: 'inherit',
    env: { ...process.env, ...env },
    shell: process.platform === 'win32',
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
}

/** Where the applications are served: `studio` at /studio/. */
export function mountsOf(applications) {
  return {
    '/': folder('examples/home'),
    '/pictures/': folder('docs/pictures'),
    '/docs/': folder('site/dist'),
    ...Object.fromEntries(applications.map(([name, built]) => [`/${name}/`, built])),
  };
}

/** Whether the documentation was built for this place. */
function hasDocs() {
  const page = folder('site/dist/index.html');
  return existsSync(page) && readFileSync(page, 'utf8').includes('"/docs/');
}

async function start() {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '8080' },
      host: { type: 'string', default: '127.0.0.1' },
      docs: { type: 'boolean', default: false },
    },
  });
  if (!isBuilt()) {
    console.log('Building the package (once, about a minute) …');
    run('npm', ['run', '-s', 'build']);
  }
  const applications = [];
  for (const name of webExamples()) {
    console.log(`Preparing ${name} …`);
    applications.push([name, await buildExample(name)]);
  }
  if (values.docs) {
    console.log('Building the documentation …');
    run(process.execPath, [folder('site/build.mjs')], { DOCS_BASE: '/docs/' });
  }
  const { origin } = await serve({ port: Number(values.port), host: values.host, mounts: mountsOf(applications) });
  console.log(`\nOctavo: ${origin}/   (Ctrl+C ends it)`);
  for (const [name] of applications) console.log(`  ${name.padEnd(14)}${origin}/${name}/`);
  console.log(`  ${'docs'.padEnd(14)}${hasDocs() ? `${origin}/docs/` : 'npm start -- --docs builds and serves them'}`);
  if (values.host !== '127.0.0.1' && values.host !== 'localhost')
    console.log(
      'Pages from another machine over plain http are no secure context: browsers give them neither WebGPU nor threads nor stored downloads. Use https (a tunnel or a proxy), or localhost.',
    );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await start().catch((error) => {
    console.error(error.code === 'EADDRINUSE' ? 'the port is taken; try npm start -- --port 8081' : error.message);
    process.exit(1);
  });
