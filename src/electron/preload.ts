/**
 * The preload script of the app's windows (`octavo/electron/preload`): one CommonJS file without imports but Electron, as sandboxed windows need it. It puts
 * the bridge into the page's scope and passes engines' ports on; it has no other ability.
 */
import { contextBridge, ipcRenderer } from 'electron';
import {
  BRIDGE_NAME,
  EVENT_CHANNEL,
  MOST_WAITING,
  PLACE_ARGUMENT,
  PORT_CHANNEL,
  REQUEST_CHANNEL,
  type Bridge,
  type BridgeAnswer,
  type BridgeEvent,
} from './messages.ts';

let listener: ((event: BridgeEvent) => void) | undefined;
const waiting: BridgeEvent[] = [];

ipcRenderer.on(EVENT_CHANNEL, (_, event) => {
  if (listener !== undefined) listener(event as BridgeEvent);
  else if (waiting.length < MOST_WAITING) waiting.push(event as BridgeEvent);
});

// Ports cannot pass the context bridge, so they come to the page as a message of its own window.
ipcRenderer.on(PORT_CHANNEL, ({ ports }, engine) =>
  window.postMessage({ octavo: engine }, location.origin, [...ports]),
);

const place = process.argv.find((argument) => argument.startsWith(PLACE_ARGUMENT))?.slice(PLACE_ARGUMENT.length);

const bridge: Bridge = {
  place: place === 'page' ? 'page' : 'process',
  request: (request) => ipcRenderer.invoke(REQUEST_CHANNEL, request) as Promise<BridgeAnswer>,
  listen: (given) => {
    listener = given;
    for (const event of waiting.splice(0)) given(event);
  },
};
contextBridge.exposeInMainWorld(BRIDGE_NAME, bridge);
