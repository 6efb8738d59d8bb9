/** The package's own files in Node and Electron, wherever a bundler has moved the code. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Finds one of the package's scripts: beside this one or in the installed package. */
export function packagedFile(name: string): string | undefined {
  try {
    const beside = fileURLToPath(new URL(name, import.meta.url));
    if (existsSync(beside)) return beside;
  } catch {
    // A CommonJS bundle has no `import.meta.url`.
  }
  try {
    const manifest = createRequire(join(process.cwd(), 'package.json')).resolve('octavo/package.json');
    const installed = join(manifest, '..', 'dist', name);
    if (existsSync(installed)) return installed;
  } catch {
    // The package is not installed here.
  }
  return undefined;
}
