/** The platform of the page in browsers, web views and Electron's renderers. */
import type { FacePlatform } from '../face/octavo.ts';
import { bundledFile, bundledModel, notInBundle, type BundledModel } from '../load/bundled.ts';
import type { ModelInput } from '../load/index.ts';
import { cloneable } from './input.ts';

/**
 * The URL of a bundled model, where the package is served unchanged. It is not a literal, so that bundlers do not include
 * megabytes in every build; apps that want a bundled model import its URL from `octavo/<name>`.
 */
function bundledUrl(model: BundledModel): string {
  const here = import.meta.url;
  if (!/^https?:.*\/dist\/index[^/]*\.js/.test(here))
    throw notInBundle(model, `import its URL from 'octavo/${model.name}', and load that`);
  return new URL(`../${bundledFile(model)}`, here).href;
}

/** Nothing is kept without IndexedDB. */
const hasDatabase = (): boolean => typeof indexedDB !== 'undefined';

/** `startEngine`: how an engine is started for this scope; `capable`: whether that can succeed; `documents`: what opens documents, where code can be fetched. */
export function createBrowserFace(
  startEngine: FacePlatform['startEngine'],
  capable: boolean,
  documents?: FacePlatform['documents'],
): FacePlatform {
  return {
    startEngine,
    input: async (input: ModelInput) => {
      const bundled = bundledModel(input);
      if (bundled !== undefined) return bundledUrl(bundled);
      const given = await cloneable(input);
      // URLs are relative to the page, not to the worker. The engine refuses what is not a URL, and says why.
      const absolute = (address: string): string => {
        const base = globalThis.location?.href;
        return !address.startsWith('hf:') && URL.canParse(address, base) ? new URL(address, base).href : address;
      };
      if (typeof given === 'string') return absolute(given);
      return Array.isArray(given) ? given.map((one: unknown) => absolute(String(one))) : given;
    },
    // Pages that show no image and list nothing that is kept do not download this code.
    readPicture: async (input, signal) => (await import('../vision/read.ts')).readImage(input, { signal }),
    capable,
    ...(documents && { documents }),
    store: async () => (hasDatabase() ? new (await import('../store/model-store.ts')).ModelStore() : undefined),
    sessions: async () => {
      if (!hasDatabase()) return undefined;
      const { IndexedShelf, SessionStore } = await import('../store/index.ts');
      return new SessionStore(new IndexedShelf());
    },
  };
}
