// Imports a TypeScript file of the tests or the benchmarks into a script, also in versions of Node that do not run TypeScript.
import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';

/** The exports of a file, bundled with what it imports from here. */
export async function importTypeScript(url) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(url)],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}
