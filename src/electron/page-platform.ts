/** What `Octavo` needs of a desktop program's page: the browser's platform, with the main process where there is one. */
import type { FacePlatform } from '../face/octavo.ts';
import { bundledModel } from '../load/bundled.ts';
import { cloneable } from '../platform/input.ts';
import type { Endpoint } from '../worker/protocol.ts';
import { bundledAddress } from './addresses.ts';
import { Lending } from './lending.ts';
import type { PageBridge } from './page-bridge.ts';
import { countingSaves, processEndpoint } from './page-engine.ts';

/** `find` returns the bridge, which is not there in a browser; `browser` is the platform of a page by itself. */
export function createPagePlatform(find: () => PageBridge | undefined, browser: FacePlatform): FacePlatform {
  const lending = new Lending();
  let saves = 0;
  const inProcess = (): PageBridge | undefined => {
    const bridge = find();
    return bridge?.place === 'process' ? bridge : undefined;
  };
  return {
    ...browser,
    async startEngine(): Promise<Endpoint> {
      const bridge = find();
      if (bridge?.place === 'process') return processEndpoint(bridge, await bridge.start(), lending);
      const worker = await browser.startEngine();
      if (bridge === undefined) return worker;
      return countingSaves(worker, (by) => {
        saves += by;
        bridge.request({ kind: 'holding', count: saves }).catch(() => undefined);
      });
    },
    async input(input) {
      if (inProcess() === undefined) return browser.input(input);
      const bundled = bundledModel(input);
      if (bundled !== undefined) return bundledAddress(bundled);
      // Files are lent when the engine is asked to open them, so that nothing holds those of a load that ends before.
      return cloneable(input);
    },
    async store() {
      const bridge = inProcess();
      if (bridge === undefined) return browser.store();
      return {
        list: () => bridge.request({ kind: 'files' }),
        has: (target) => bridge.request({ kind: 'has-file', target }),
        remove: (target) => bridge.request({ kind: 'remove-file', target }),
      };
    },
    async sessions() {
      const bridge = inProcess();
      if (bridge === undefined) return browser.sessions();
      return {
        list: () => bridge.request({ kind: 'sessions' }),
        usage: () => bridge.request({ kind: 'usage' }),
        remove: (name) => bridge.request({ kind: 'remove-session', name }),
      };
    },
  };
}
