/**
 * Endpoints over Electron's ports. Between processes Electron copies plain data, typed arrays and other ports; where a message holds a Blob, a port, or a
 * buffer that was transferred, the other side receives null. So ports travel beside the message, and buffers are copied.
 */
import { DeviceError } from '../errors.ts';
import type { Endpoint } from '../worker/protocol.ts';
import type { MainPort } from './electron.ts';

/** What Electron's ports have in common with the DOM's, for code that is written for those. */
export function domPort(port: MainPort): MessagePort {
  let started = false;
  return {
    postMessage: (message: unknown) => port.postMessage(message),
    close: () => port.close(),
    set onmessage(listener: (event: { readonly data: unknown }) => void) {
      port.on('message', ({ data }) => listener({ data }));
      if (!started) port.start();
      started = true;
    },
  } as unknown as MessagePort;
}

/** An endpoint whose messages may come with ports. */
export interface PortEndpoint extends Endpoint {
  listen(message: (message: unknown, ports: readonly MainPort[]) => void, failed?: (error: Error) => void): void;
}

/** An end in the main process or in a utility process. */
export function mainPortEndpoint(port: MainPort): PortEndpoint {
  return {
    post: (message) => port.postMessage(message),
    listen: (message, failed) => {
      port.on('message', ({ data, ports }) => message(data, ports));
      port.on('close', () => failed?.(new DeviceError('lost', 'the other end of the port is gone')));
      port.start();
    },
    close: () => port.close(),
  };
}
