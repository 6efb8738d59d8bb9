/** The page's own files for an engine in a process of its own: they stay in the page, and the engine reads ranges of them over a port. */
import { InputError } from '../errors.ts';
import { isProjector } from '../load/index.ts';
import { fileName, type ModelInput } from '../load/inputs.ts';
import { portEndpoint } from '../worker/endpoints.ts';
import { respond } from '../worker/responder.ts';
import { LENT_SCHEME, type LentApi } from './process-api.ts';

/** The most bytes of one read. */
const MOST_BYTES = 64 << 20;

export class Lending {
  readonly #files = new Map<string, Blob>();

  /**
   * What the engine is told to load: addresses as they are, everything else by the addresses of lent files, which are
   * held until `end` of `open`. `input`: an address, a list of them, or a file or files by name.
   */
  addresses(input: ModelInput): string | string[] {
    if (typeof input === 'string') return input;
    if (Array.isArray(input)) return [...(input as readonly string[])];
    const id = crypto.randomUUID();
    if (input instanceof Blob || ArrayBuffer.isView(input)) {
      const data = input as Blob | Uint8Array;
      return this.#lend(id, fileName(data) ?? 'model.gguf', data);
    }
    const files = Object.entries(input as Readonly<Record<string, Blob | Uint8Array>>);
    const places = new Map(files.map(([name, data]) => [name, this.#lend(id, name, data)]));
    if (places.has('config.json')) return `${LENT_SCHEME}:${id}/`;
    const names = [...places.keys()].sort();
    const projector = names.find(isProjector);
    // The first part of a model names the others, which are beside it.
    const model = names.find((name) => name !== projector && /\.gguf$/i.test(name)) ?? names[0] ?? '';
    const place = places.get(model) ?? '';
    return projector === undefined || projector === model ? place : [place, places.get(projector) ?? ''];
  }

  /** A port on which the files can be read, until `end` lets those go that have these addresses. */
  open(addresses: readonly string[]): { readonly port: MessagePort; readonly end: () => void } {
    const { port1, port2 } = new MessageChannel();
    const find = (file: string): Blob => {
      const found = this.#files.get(file);
      if (found === undefined) throw new InputError('argument', 'the page lends no such file', { file });
      return found;
    };
    respond<LentApi>(portEndpoint(port1), {
      size: ({ file }) => this.#files.get(file)?.size,
      read: async ({ file, start, end }) =>
        new Uint8Array(
          await find(file)
            .slice(start, Math.min(end, start + MOST_BYTES))
            .arrayBuffer(),
        ),
    });
    const end = (): void => {
      port1.close();
      // Files that were lent together have the same beginning.
      const ids = new Set(addresses.map((address) => address.slice(LENT_SCHEME.length + 1).split('/', 1)[0]));
      for (const file of this.#files.keys()) if (ids.has(file.split('/', 1)[0])) this.#files.delete(file);
    };
    return { port: port2, end };
  }

  /** Whether this is the address of a lent file. */
  static isLent(this: void, address: unknown): address is string {
    return typeof address === 'string' && address.startsWith(`${LENT_SCHEME}:`);
  }

  #lend(id: string, name: string, data: Blob | Uint8Array): string {
    const file = `${id}/${name.split('/').map(encodeURIComponent).join('/')}`;
    this.#files.set(file, data instanceof Blob ? data : new Blob([data as Uint8Array<ArrayBuffer>]));
    return `${LENT_SCHEME}:${file}`;
  }
}
