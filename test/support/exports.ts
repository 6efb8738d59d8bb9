/** The package's public exports by entry, as its published types and its exports map have them. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface Conditions {
  readonly types?: string;
  readonly default?: string;
  readonly node?: { readonly types: string; readonly default: string };
}

export interface Entry {
  /** What users import; of the two faces of `octavo`, Node's has a name of its own. */
  readonly name: string;
  readonly types: string;
  readonly script: string;
}

/** The entries of package.json's exports map that have types. */
export function entries(): readonly Entry[] {
  const { name, exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    name: string;
    exports: Readonly<Record<string, Conditions | string>>;
  };
  return Object.entries(exports).flatMap(([path, conditions]) => {
    if (typeof conditions === 'string') return [];
    const entry = (suffix: string, types: string, script: string): Entry => ({
      name: `${path.replace('.', name)}${suffix}`,
      types,
      script,
    });
    const { node } = conditions;
    return [
      entry('', conditions.types!, conditions.default!),
      ...(node === undefined ? [] : [entry(' (Node)', node.types, node.default)]),
    ];
  });
}

type Kind = 'class' | 'const' | 'function' | 'interface' | 'type';

/** Which kinds are there at run time. */
export const VALUES: ReadonlySet<Kind> = new Set<Kind>(['class', 'const', 'function']);

const DECLARATION = /^export (?:declare )?(?:abstract )?(class|const|function|interface|type) (\w+)/gm;
const LIST = /^export (type )?\{([^}]*)\} from '([^']+)'/gm;
const ALL = /^export \* from '([^']+)'/gm;

/** The exports of a module of the published types, with their kinds. */
export function exportsOf(file: string): ReadonlyMap<string, Kind> {
  const text = readFileSync(file, 'utf8');
  const found = new Map<string, Kind>();
  const module = (specifier: string): string => join(dirname(file), specifier.replace(/\.ts$/, '.d.ts'));
  for (const [, kind, name] of text.matchAll(DECLARATION)) found.set(name!, kind as Kind);
  for (const [, asTypes, names, from] of text.matchAll(LIST)) {
    const there = exportsOf(module(from!));
    for (const one of names!.split(',').map((part) => part.trim())) {
      if (one === '') continue;
      const [name, as = name] = one.replace(/^type /, '').split(' as ');
      const kind = there.get(name!);
      if (kind === undefined) throw new Error(`${file}: ${name} is not exported by ${from}`);
      // Of a class that is exported as a type, only the type of its instances is there.
      const onlyType = asTypes !== undefined || one.startsWith('type ');
      found.set(as!, onlyType && VALUES.has(kind) ? 'type' : kind);
    }
  }
  for (const [, from] of text.matchAll(ALL)) for (const [name, kind] of exportsOf(module(from!))) found.set(name, kind);
  // Anything that the patterns above do not know would be missing from the list.
  for (const [line] of text.matchAll(/^export .*$/gm))
    if (
      !/^export (\{\};|(declare )?(abstract )?(class|const|function|interface|type) \w|(type )?\{|\* from)/.test(line)
    )
      throw new Error(`${file}: an export of an unknown form: ${line}`);
  return found;
}
