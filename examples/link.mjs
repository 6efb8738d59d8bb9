// Makes `octavo` in node_modules the package that lies around this folder, as `npm link` would. A dependency on `file:..` would do the same, but its lock
// file repeats all development dependencies of the package, and npm would refuse it whenever one of those changes.
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const place = fileURLToPath(new URL('./node_modules/octavo', import.meta.url));
mkdirSync(fileURLToPath(new URL('./node_modules', import.meta.url)), { recursive: true });
rmSync(place, { recursive: true, force: true });
symlinkSync(fileURLToPath(new URL('..', import.meta.url)), place, 'junction');
