// Makes `octavo` in node_modules the package that lies around this folder, as examples/link.mjs does.
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const place = fileURLToPath(new URL('./node_modules/octavo', import.meta.url));
mkdirSync(fileURLToPath(new URL('./node_modules', import.meta.url)), { recursive: true });
rmSync(place, { recursive: true, force: true });
symlinkSync(fileURLToPath(new URL('../..', import.meta.url)), place, 'junction');
