// The package's entries, as package.json's exports map names them: what users import, and where its published types are.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../', import.meta.url));

const { name, exports } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** `{ specifier, types }` of every entry; `octavo` has a second face for Node, which is listed as `octavo for Node`. */
export const entries = Object.entries(exports).flatMap(([path, conditions]) => {
  if (conditions.types === undefined) return [];
  const specifier = path.replace('.', name);
  const found = [{ specifier, types: conditions.types }];
  if (conditions.node?.types !== undefined)
    found.push({ specifier: `${specifier} for Node`, types: conditions.node.types });
  return found;
});
