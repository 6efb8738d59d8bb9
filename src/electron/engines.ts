/**
 * Engine processes, in the main process: one utility process for each engine that a page starts, so that a crash ends one model, and a model that is destroyed
 * gives all of its memory back.
 */
import { InputError } from '../errors.ts';
import { respond } from '../worker/responder.ts';
import { parseFileAddress } from './addresses.ts';
import type { Child, ElectronMain, Frame } from './electron.ts';
import type { Files } from './files.ts';
import { EVENT_CHANNEL, PORT_CHANNEL, type BridgeEvent } from './messages.ts';
import { mainPortEndpoint } from './ports.ts';
import type { HostApi, ProcessSettle, ProcessSettled, ProcessStart } from './process-api.ts';

/** Engines of one page. Each has a model, and a page that leaks them should fail before the machine does. */
const MOST_ENGINES = 16;

export interface EngineSettings {
  /** The script of the process, dist/electron-engine.js. */
  readonly script: string;
  /** Where models and sessions are kept. */
  readonly data: string;
  readonly downloads: readonly string[];
  readonly files: Files;
  /** How long an engine that ends may write what it is saving. */
  readonly patience: number;
}

interface Engine {
  readonly child: Child;
  readonly owner: number;
  readonly ended: Promise<void>;
  /** Ended on purpose. */
  ending: boolean;
  /** Who waits for the end of saves, by the numbers of the questions. */
  readonly asked: Map<number, () => void>;
}

/** Variables that would change how the process runs. */
const DROPPED = ['NODE_OPTIONS', 'ELECTRON_RUN_AS_NODE', 'NODE_REPL_EXTERNAL_MODULE'];

const windows = process.platform === 'win32';

export class Engines {
  readonly #electron: Pick<ElectronMain, 'utilityProcess' | 'MessageChannelMain'>;
  readonly #settings: EngineSettings;
  readonly #running = new Map<string, Engine>();
  #next = 1;

  constructor(electron: Pick<ElectronMain, 'utilityProcess' | 'MessageChannelMain'>, settings: EngineSettings) {
    this.#electron = electron;
    this.#settings = settings;
  }

  get count(): number {
    return this.#running.size;
  }

  /** `owner`: the page's contents. Its port is posted to `frame`. */
  start(owner: number, frame: Frame, id: string): void {
    const { script, data, downloads, files } = this.#settings;
    if (this.#running.has(id)) throw new InputError('argument', 'an engine of this id runs already', { engine: id });
    if ([...this.#running.values()].filter((engine) => engine.owner === owner).length >= MOST_ENGINES)
      throw new InputError('busy', `${MOST_ENGINES} engines run for this page; destroy models that are not used`, {
        most: MOST_ENGINES,
      });
    const env: Record<string, string> = {};
    for (const [name, value] of Object.entries(process.env))
      if (value !== undefined && !DROPPED.includes(name.toUpperCase())) env[name] = value;
    const child = this.#electron.utilityProcess.fork(script, [], {
      serviceName: 'Octavo engine',
      env: { ...env, OCTAVO_CACHE: data },
      execArgv: [],
    });
    let gone: () => void = () => {};
    const engine: Engine = {
      child,
      owner,
      ended: new Promise((resolve) => (gone = resolve)),
      ending: false,
      asked: new Map(),
    };
    this.#running.set(id, engine);
    child.on('exit', (code) => {
      this.#running.delete(id);
      for (const resolve of engine.asked.values()) resolve();
      gone();
      if (engine.ending) return;
      try {
        frame.send(EVENT_CHANNEL, { kind: 'ended', engine: id, code } satisfies BridgeEvent);
      } catch {
        // The page is gone, too.
      }
    });
    child.on('message', (message) => {
      const { kind, number } = message as ProcessSettled;
      if (kind === 'settled') engine.asked.get(number)?.();
    });
    const page = new this.#electron.MessageChannelMain();
    const host = new this.#electron.MessageChannelMain();
    respond<HostApi>(mainPortEndpoint(host.port1), {
      find: async ({ address }) => {
        const parsed = typeof address === 'string' ? parseFileAddress(address, windows) : undefined;
        return parsed && files.find(parsed);
      },
    });
    child.postMessage({ kind: 'start', downloads } satisfies ProcessStart, [page.port1, host.port2]);
    frame.postMessage(PORT_CHANNEL, id, [page.port2]);
  }

  /** Ends one engine of a page, after what it is saving. */
  async end(owner: number, id: string): Promise<void> {
    const engine = this.#running.get(id);
    if (engine?.owner !== owner || engine.ending) return;
    engine.ending = true;
    await this.#settle(engine);
    engine.child.kill();
    await engine.ended;
  }

  /** Ends all engines of a page that is gone. */
  async endAll(owner: number): Promise<void> {
    const own = [...this.#running].filter(([, engine]) => engine.owner === owner);
    await Promise.all(own.map(([id]) => this.end(owner, id)));
  }

  /** Resolves when no engine is saving, or after the patience. */
  async settled(): Promise<void> {
    await Promise.all([...this.#running.values()].map((engine) => this.#settle(engine)));
  }

  async #settle({ child, asked }: Engine): Promise<void> {
    const number = this.#next++;
    let late: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      asked.set(number, resolve);
      late = setTimeout(resolve, this.#settings.patience);
      late.unref();
      child.postMessage({ kind: 'settle', number } satisfies ProcessSettle);
    });
    asked.delete(number);
    clearTimeout(late);
  }
}
