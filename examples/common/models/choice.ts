/** Which model is wanted, as a short string that settings can keep: the id of one in the catalogue, an address, or a file of the user's own that was kept. */
import type { ModelInput } from 'octavo';
import { CATALOGUE, NANO, type CatalogueEntry } from './catalogue.ts';
import { ownFile } from './own-files.ts';

export type ModelChoice =
  | { readonly kind: 'catalogue'; readonly entry: CatalogueEntry }
  | { readonly kind: 'address'; readonly address: string }
  /** `files` where they were just given; they are looked up by `name` otherwise. */
  | { readonly kind: 'own'; readonly name: string; readonly files?: readonly File[] | undefined };

export function keyOf(choice: ModelChoice): string {
  switch (choice.kind) {
    case 'catalogue':
      return choice.entry.id;
    case 'address':
      return `address:${choice.address}`;
    case 'own':
      return `own:${choice.name}`;
    default:
      throw new Error(`no choice of a model: ${String(choice satisfies never)}`);
  }
}

/** nano for a key that says nothing any more. */
export function choiceOf(key: string): ModelChoice {
  if (key.startsWith('address:')) return { kind: 'address', address: key.slice('address:'.length) };
  if (key.startsWith('own:')) return { kind: 'own', name: key.slice('own:'.length) };
  return { kind: 'catalogue', entry: entryOf(key) ?? nanoEntry() };
}

export function entryOf(id: string): CatalogueEntry | undefined {
  return CATALOGUE.find((one) => one.id === id);
}

function nanoEntry(): CatalogueEntry {
  const [first] = CATALOGUE;
  if (first === undefined) throw new Error('the catalogue is empty');
  return entryOf(NANO) ?? first;
}

export function titleOf(choice: ModelChoice): string {
  switch (choice.kind) {
    case 'catalogue':
      return choice.entry.title;
    case 'address':
      return choice.address.split(/[/?#]/).findLast((part) => part !== '') ?? choice.address;
    case 'own':
      return choice.name;
    default:
      throw new Error(`no choice of a model: ${String(choice satisfies never)}`);
  }
}

/** Whether it is one of the application's own files: nano or nano-text. */
export function isPart(choice: ModelChoice): boolean {
  return choice.kind === 'catalogue' && choice.entry.part === true;
}

/** The address under which the package keeps it; undefined for files of the user's own. */
export function addressOf(choice: ModelChoice): string | undefined {
  if (choice.kind === 'own') return undefined;
  return choice.kind === 'address' ? choice.address : choice.entry.source;
}

/** What `Octavo.load` takes; undefined for a file of the user's own that is not there any more. */
export async function inputOf(choice: ModelChoice): Promise<ModelInput | undefined> {
  if (choice.kind !== 'own') return addressOf(choice);
  const files = choice.files ?? (await ownFile(choice.name));
  return files === undefined ? undefined : files.length === 1 ? files[0] : [...files];
}
