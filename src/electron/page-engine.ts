/** The page's end of an engine's port, as the endpoint that `Octavo` calls. */
import { DeviceError } from '../errors.ts';
import type { ModelInput } from '../load/index.ts';
import type { LoadSettings } from '../worker/api.ts';
import type { Endpoint, ToEngine, ToPage } from '../worker/protocol.ts';
import { Lending } from './lending.ts';
import type { PageBridge, StartedEngine } from './page-bridge.ts';
import { OPENING, type Carried } from './process-api.ts';

/** An engine in a process of its own. */
export function processEndpoint(bridge: PageBridge, { id, port }: StartedEngine, lending: Lending): Endpoint {
  let stop = (): void => {};
  const ends: (() => void)[] = [];
  return {
    // Buffers are copied: Electron delivers nothing of a message whose buffers were transferred.
    post: (message) => {
      const { sent, ports } = withPorts(message as ToEngine, lending, ends);
      port.postMessage(sent, ports);
    },
    listen: (message, failed) => {
      stop = bridge.atEnd(id, (code) =>
        failed?.(
          new DeviceError('lost', `the engine's process ended (exit code ${code}); load the model again`, { code }),
        ),
      );
      port.onmessage = ({ data }: MessageEvent<unknown>) => message(data);
    },
    close: () => {
      stop();
      port.close();
      for (const end of ends.splice(0)) end();
      // The app may be quitting.
      bridge.request({ kind: 'end', engine: id }).catch(() => undefined);
    },
  };
}

/**
 * Ports cannot stand in a message between processes; they go beside it, and `carried` says what they are. `ends` are called when the engine has ended.
 */
function withPorts(
  message: ToEngine,
  lending: Lending,
  ends: (() => void)[],
): { readonly sent: unknown; readonly ports: MessagePort[] } {
  if (message.kind !== 'call' || !OPENING.includes(message.method)) return { sent: message, ports: [] };
  const { fetch: own, ...given } = message.params as {
    readonly input: ModelInput;
    readonly settings: { readonly mmproj?: LoadSettings['mmproj'] };
    readonly fetch?: MessagePort;
  };
  const { mmproj } = given.settings;
  const settings =
    typeof mmproj === 'object' ? { ...given.settings, mmproj: lending.addresses(mmproj) } : given.settings;
  const params = { ...given, input: lending.addresses(given.input), settings };
  const carried: Carried[] = [];
  const ports: MessagePort[] = [];
  const lent = [params.input, params.settings.mmproj].flat().filter(Lending.isLent);
  if (lent.length > 0) {
    const { port, end } = lending.open(lent);
    carried.push('lent');
    ports.push(port);
    ends.push(end);
  }
  if (own !== undefined) {
    carried.push('fetch');
    ports.push(own);
  }
  return { sent: { ...message, params, carried }, ports };
}

/** An engine in a worker of the page: the main process is told of saves, so that quitting waits for them. */
export function countingSaves(endpoint: Endpoint, changed: (by: 1 | -1) => void): Endpoint {
  const saves = new Set<number>();
  const settle = (id: number): void => {
    if (saves.delete(id)) changed(-1);
  };
  return {
    ...endpoint,
    post: (message, transfer) => {
      const { kind, id, ...call } = message as ToEngine;
      if (kind === 'call' && 'method' in call && call.method === 'saveSession') {
        saves.add(id);
        changed(1);
      }
      endpoint.post(message, transfer);
    },
    listen: (receive, failed) =>
      endpoint.listen(
        (message) => {
          const { kind, id } = message as ToPage;
          if (kind === 'result' || kind === 'error') settle(id);
          receive(message);
        },
        (error) => {
          for (const id of saves) settle(id);
          failed?.(error);
        },
      ),
    close: () => {
      for (const id of saves) settle(id);
      endpoint.close();
    },
  };
}
