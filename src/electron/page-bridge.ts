/** The bridge as the app's pages use it: requests with typed results, engines' ports, and events. */
import { DeviceError } from '../errors.ts';
import { unpackError } from '../worker/protocol.ts';
import {
  BRIDGE_NAME,
  MOST_WAITING,
  type Bridge,
  type BridgeEvent,
  type BridgeRequest,
  type BridgeResults,
  type DesktopEvent,
} from './messages.ts';

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
  readonly #listeners = new Set<(event: DesktopEvent) => void>();
  readonly #waiting: DesktopEvent[] = [];
  /** The exit codes of the engines' processes that have ended, by engine. */
  readonly #ended = new Map<string, number>();
  readonly #atEnd = new Map<string, (code: number) => void>();

  constructor(bridge: Bridge, own: PageWindow) {
    this.#bridge = bridge;
    this.#window = own;
    bridge.listen((event) => this.#take(event));
  }

  #take(event: BridgeEvent): void {
    if (event.kind === 'ended') {
      this.#ended.set(event.engine, event.code);
      this.#atEnd.get(event.engine)?.(event.code);
    } else if (this.#listeners.size > 0) {
      for (const listener of this.#listeners) listener(event);
    } else if (this.#waiting.length < MOST_WAITING) this.#waiting.push(event);
  }

  get place(): Bridge['place'] {
    return this.#bridge.place;
  }

  /** Calls `listener` with the events to come, and first with those that came while nobody listened. Returns a function that ends it. */
  listen(listener: (event: DesktopEvent) => void): () => void {
    this.#listeners.add(listener);
    for (const event of this.#waiting.splice(0)) listener(event);
    return () => this.#listeners.delete(listener);
  }

  /** Calls `listener` with the exit code once the engine's process has ended, also when it has ended already. Returns a function that ends it. */
  atEnd(engine: string, listener: (code: number) => void): () => void {
    const code = this.#ended.get(engine);
    if (code === undefined) this.#atEnd.set(engine, listener);
    else listener(code);
    return () => this.#atEnd.delete(engine);
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
    } catch (error) {
      // It may have been started, and come later.
      this.#bridge.request({ kind: 'end', engine: id }).catch(() => undefined);
      throw error;
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
