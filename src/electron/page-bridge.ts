/** The bridge as the app's pages use it: requests with typed results, engines' ports, and events. */
import { DeviceError } from '../errors.ts';
import { unpackError } from '../worker/protocol.ts';
import { BRIDGE_NAME, type Bridge, type BridgeEvent, type BridgeRequest, type BridgeResults } from './messages.ts';

/** An engine process that has not been given to the page by then is considered unusable. */
const START_MILLISECONDS = 30_000;

export interface StartedEngine {
  readonly id: string;
  readonly port: MessagePort;
}

/** The part of the page's window on which ports come. */
export type PageWindow = Pick<Window, 'addEventListener' | 'removeEventListener'>;

export class PageBridge {
  readonly #bridge: Bridge;
  readonly #window: PageWindow;
  readonly #listeners = new Set<(event: BridgeEvent) => void>();

  constructor(bridge: Bridge, own: PageWindow) {
    this.#bridge = bridge;
    this.#window = own;
    bridge.listen((event) => {
      for (const listener of this.#listeners) listener(event);
    });
  }

  get place(): Bridge['place'] {
    return this.#bridge.place;
  }

  /** Returns a function that ends it. */
  listen(listener: (event: BridgeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async request<Request extends BridgeRequest>(request: Request): Promise<BridgeResults[Request['kind']]> {
    const answer = await this.#bridge.request(request);
    if ('error' in answer) throw unpackError(answer.error);
    return answer.value as BridgeResults[Request['kind']];
  }

  /** Starts an engine process. Throws `DeviceError('unavailable')` when it does not come. */
  async start(): Promise<StartedEngine> {
    const id = crypto.randomUUID();
    let stop: () => void = () => {};
    const port = new Promise<MessagePort>((resolve, reject) => {
      const listen = ({ data, ports, source }: MessageEvent<unknown>): void => {
        const named = typeof data === 'object' && data !== null && 'octavo' in data && data.octavo === id;
        // Messages of frames and of other windows are not the preload script's.
        if (source === this.#window && named && ports[0] !== undefined) resolve(ports[0]);
      };
      const late = setTimeout(
        () =>
          reject(
            new DeviceError('unavailable', `the engine's process did not start within ${START_MILLISECONDS / 1000} s`),
          ),
        START_MILLISECONDS,
      );
      this.#window.addEventListener('message', listen);
      stop = () => {
        clearTimeout(late);
        this.#window.removeEventListener('message', listen);
      };
    });
    // It may reject while the request is still under way.
    port.catch(() => undefined);
    try {
      await this.request({ kind: 'connect', engine: id });
      return { id, port: await port };
    } finally {
      stop();
    }
  }
}

let known: PageBridge | undefined;

/** Undefined where the preload script has not run: a browser, or a frame. */
export function pageBridge(): PageBridge | undefined {
  const bridge = (globalThis as { [BRIDGE_NAME]?: Bridge })[BRIDGE_NAME];
  known ??= bridge && new PageBridge(bridge, window);
  return known;
}
