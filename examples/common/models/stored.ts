/** What of models is kept on the device: downloads of the package, and files of the user's own. */
import { Octavo, type StoredFile } from 'octavo';
import { CATALOGUE } from './catalogue.ts';
import { addressOf, type ModelChoice } from './choice.ts';
import { ownModels, removeOwn } from './own-files.ts';

export interface StoredModel {
  /** What `removeStored` takes. */
  readonly key: string;
  readonly title: string;
  readonly kind: 'download' | 'own';
  readonly bytes: number;
  /** Of a download; `false` for one that was interrupted, and goes on where it stopped. */
  readonly complete: boolean;
  readonly address: string | undefined;
}

export async function storedModels(): Promise<readonly StoredModel[]> {
  const files = await Octavo.store.list().catch((): readonly StoredFile[] => []);
  const models = new Map<string, StoredModel>();
  for (const { model, url, size, received, complete } of files) {
    const before = models.get(model);
    models.set(model, {
      key: model,
      // The file of a part has a name of the build.
      title:
        before?.title ??
        CATALOGUE.find(({ part, source }) => part === true && source === url)?.title ??
        // Not that of its first file, where it has several.
        model.split(/[/?#]/).findLast((piece) => piece !== '') ??
        model,
      kind: 'download',
      bytes: (before?.bytes ?? 0) + (complete ? (size ?? received) : received),
      complete: complete && (before?.complete ?? true),
      address: before?.address ?? url,
    });
  }
  const own = (await ownModels()).map(({ name, bytes }): StoredModel => ({
    key: name,
    title: name,
    kind: 'own',
    bytes,
    complete: true,
    address: undefined,
  }));
  return [...models.values(), ...own];
}

export async function removeStored({ key, kind }: StoredModel): Promise<void> {
  if (kind === 'own') await removeOwn(key);
  else await Octavo.store.remove(key);
}

/** Whether it can be used without a network. */
export async function isStored(choice: ModelChoice): Promise<boolean> {
  const address = addressOf(choice);
  if (address === undefined) return true;
  return (await Octavo.availability(address).catch(() => 'unavailable')) === 'available';
}
