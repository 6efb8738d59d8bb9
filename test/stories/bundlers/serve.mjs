// node serve.mjs <project> <workspace> <folder of nano.gguf>: builds and serves one project, prints { origin, path } as a line of JSON, and ends with its
// standard input. The workspace is a folder outside of this repository (whose tsconfig.json would lead bundlers to the sources) with the tools and the
// packed SDK in its node_modules.
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { serve as serveFolder } from '../../../tools/static-server.mjs';

const here = fileURLToPath(new URL('./', import.meta.url));
const [project, workspace, models] = process.argv.slice(2);
const packages = join(workspace, 'node_modules');
const require = createRequire(join(workspace, 'package.json'));
const tool = (name) => import(pathToFileURL(require.resolve(name)).href);
const work = join(workspace, project);
rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
const app = join(work, 'app');
cpSync(join(here, 'app'), app, { recursive: true });
const out = join(work, 'dist');

const ready = (origin, path = '/') => console.log(JSON.stringify({ origin, path }));
let served;
const serveBuilt = async (path) => {
  served = await serveFolder({ mounts: { '/': out, '/models/': models } });
  ready(served.origin, path);
};

/** What the page has downloaded beside the weights, as a good server would send it: bytes after gzip, by file. */
const downloaded = () =>
  Object.fromEntries(
    [...new Set(served?.requests.filter(({ status }) => status === 200).map(({ path }) => path))]
      .filter((path) => /\.(m?js|wasm)$/.test(path))
      .map((path) => [path, gzipSync(readFileSync(join(out, path)), { level: 9 }).length]),
  );

async function vite(version, mode, page = 'index.html') {
  const { build, createServer } = await import(
    pathToFileURL(join(packages, `vite${version}`, 'dist/node/index.js')).href
  );
  const common = { root: app, configFile: false, logLevel: 'error', cacheDir: join(work, 'cache') };
  if (mode === 'build') {
    await build({ ...common, build: { outDir: out, rollupOptions: { input: join(app, page) } } });
    return serveBuilt(`/${page}`);
  }
  mkdirSync(join(app, 'public'));
  cpSync(models, join(app, 'public', 'models'), { recursive: true });
  const server = await createServer({ ...common, server: { port: 0 } });
  await server.listen();
  return ready(`http://localhost:${server.httpServer.address().port}`, `/${page}`);
}

async function webpack(entry = 'main.js') {
  const { default: run } = await tool('webpack');
  const { default: Html } = await tool('html-webpack-plugin');
  const stats = await new Promise((resolve, reject) =>
    run(
      { mode: 'production', context: app, entry: `./${entry}`, output: { path: out }, plugins: [new Html()] },
      (error, result) => (error ? reject(error) : resolve(result)),
    ),
  );
  if (stats.hasErrors()) throw new Error(stats.toString({ all: false, errors: true }));
  return serveBuilt('/index.html');
}

async function next() {
  const root = join(work, 'next');
  cpSync(join(here, 'next'), root, { recursive: true });
  cpSync(join(here, 'app', 'use.js'), join(root, 'app', 'use.js'));
  mkdirSync(join(root, 'public'));
  cpSync(models, join(root, 'public', 'models'), { recursive: true });
  process.env.NEXT_TELEMETRY_DISABLED = '1';
  const cli = join(packages, 'next', 'dist', 'bin', 'next');
  await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`next build ended with ${code}`))));
  });
  const port = 20_000 + (process.pid % 20_000);
  const server = spawn(process.execPath, [cli, 'start', '--port', String(port)], { cwd: root, stdio: 'ignore' });
  process.on('exit', () => server.kill());
  const origin = `http://localhost:${port}`;
  for (let i = 0; i < 100; i += 1) {
    if (
      await fetch(origin).then(
        (r) => r.ok,
        () => false,
      )
    )
      return ready(origin);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error('next start did not answer');
}

async function esbuild(entry, page, options = {}) {
  const { build } = await tool('esbuild');
  await build({
    absWorkingDir: app,
    entryPoints: [entry],
    outdir: out,
    bundle: true,
    format: 'esm',
    logLevel: 'error',
    ...options,
  });
  cpSync(join(app, page), join(out, page));
}

const projects = {
  'vite6-dev': () => vite(6, 'dev'),
  'vite6-build': () => vite(6, 'build'),
  'vite7-dev': () => vite(7, 'dev'),
  'vite7-build': () => vite(7, 'build'),
  'vite8-dev': () => vite(8, 'dev'),
  'vite8-build': () => vite(8, 'build'),
  'vite8-nano': () => vite(8, 'build', 'bundled.html'),
  webpack: () => webpack(),
  'webpack-nano': () => webpack('bundled.js'),
  next,
  esbuild: async () => {
    await esbuild('main.js', 'index.html');
    return serveBuilt('/index.html');
  },
  'service-worker': async () => {
    await esbuild('service-worker.js', 'service.html');
    for (const file of ['relaxed', 'simd', 'scalar'])
      cpSync(join(packages, 'octavo/dist', `octavo.${file}.wasm`), join(out, `octavo.${file}.wasm`));
    return serveBuilt('/service.html');
  },
  /** The package's files as they are, served by this origin. */
  plain: async () => {
    cpSync(join(packages, 'octavo/dist'), join(out, 'octavo/dist'), { recursive: true });
    cpSync(join(app, 'use.js'), join(out, 'use.js'));
    const main = readFileSync(join(app, 'main.js'), 'utf8').replace("'octavo'", "'./octavo/dist/index.js'");
    writeFileSync(join(out, 'main.js'), main);
    cpSync(join(app, 'index.html'), join(out, 'index.html'));
    return serveBuilt('/index.html');
  },
  cdn: async () => {
    const cdn = await serveFolder({ mounts: { '/octavo/': join(packages, 'octavo') }, cors: true });
    mkdirSync(out);
    cpSync(join(app, 'use.js'), join(out, 'use.js'));
    writeFileSync(
      join(out, 'index.html'),
      `<!doctype html><title>Octavo from another origin</title><script type="module">
        import { Octavo } from '${cdn.origin}/octavo/dist/index.js';
        import { use } from './use.js';
        globalThis.outcome = use(Octavo, '/models/nano.gguf').catch((error) => ({ error: String(error) }));
      </script>`,
    );
    return serveBuilt('/index.html');
  },
};

await projects[project]();
process.stdin
  .on('end', () => process.stdout.write(`${JSON.stringify({ downloaded: downloaded() })}\n`, () => process.exit(0)))
  .resume();
