/**
 * Real model files, which `npm run models` puts into a cache (tools/models.json lists them). Tests on a file that is not there are skipped
 * and counted, unless OCTAVO_REQUIRE_MODELS names it (a list with commas, set in CI).
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Entry {
  readonly folder: string;
  readonly files: readonly { readonly path: string }[];
}

const CATALOGUE = JSON.parse(readFileSync(new URL('../../tools/models.json', import.meta.url), 'utf8')) as Record<
  string,
  Entry
>;
const CACHE = resolve(process.env['OCTAVO_MODELS'] ?? fileURLToPath(new URL('../../.cache/models', import.meta.url)));

/** Whether the environment makes a missing `name` an error. */
export function isRequired(name: string): boolean {
  return (process.env['OCTAVO_REQUIRE_MODELS'] ?? '').split(',').includes(name);
}

/** The path of a model of tools/models.json, or undefined where it was not fetched. */
export function realModel(name: string): string | undefined {
  const entry = CATALOGUE[name];
  if (entry === undefined) throw new Error(`tools/models.json has no ${name}`);
  const files = entry.files.map(({ path }) => join(CACHE, entry.folder, path));
  if (files.every((file) => existsSync(file))) return entry.folder === '' ? files[0] : join(CACHE, entry.folder);
  if (isRequired(name)) throw new Error(`OCTAVO_REQUIRE_MODELS names ${name}; run \`npm run models -- ${name}\` first`);
  console.warn(`skipped: ${name} is not in the cache (npm run models -- ${name})`);
  return undefined;
}
