// The documentation site in one command: `npm run docs` builds it into site/dist, `npm run docs -- --serve` serves it while it is edited.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './entries.mjs';

const site = join(root, 'site');
const npm = (...args) =>
  execFileSync('npm', args, { cwd: site, stdio: 'inherit', shell: process.platform === 'win32' });

// The site's own tools: installed when they are not there or their versions have changed.
const lock = createHash('sha256')
  .update(readFileSync(join(site, 'package-lock.json')))
  .digest('hex');
const stamp = join(site, 'node_modules/.octavo-lock');
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  npm('ci', '--no-audit', '--no-fund', '--silent');
  writeFileSync(stamp, lock);
}

// The types as they are published.
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.types.json'], {
  cwd: root,
  stdio: 'inherit',
});
const { writeReference } = await import('./reference.mjs');
await writeReference();

const { build, createServer } = await import('vitepress');
if (process.argv.includes('--serve')) {
  const server = await createServer(site);
  await server.listen();
  server.printUrls();
} else {
  try {
    await build(site);
    const { checkAnchors } = await import('./anchors.mjs');
    checkAnchors(join(site, 'dist'));
  } catch (error) {
    // Rollup's errors list every file of the site behind the message.
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
