/** Engines for tests: in this process, from the sources, over the same messages as a worker's. */
import { serveEngine } from '../../src/engine/service.ts';
import type { LoadSettings } from '../../src/worker/api.ts';
import { EngineModel, type OpenDevice } from '../../src/engine/model.ts';
import { createFace, type FacePlatform, type OctavoFace } from '../../src/face/octavo.ts';
import { createNodePlatform } from '../../src/platform/node-engine.ts';
import { cloneable } from '../../src/platform/input.ts';
import { createNodeDecoder } from '../../src/platform/images-node.ts';
import { nodeFiles } from '../../src/platform/node-files.ts';
import type { Platform } from '../../src/platform/platform.ts';
import type { ModelStore } from '../../src/store/model-store.ts';
import { SessionStore } from '../../src/store/index.ts';
import { readImage } from '../../src/vision/index.ts';
import { portEndpoint } from '../../src/worker/endpoints.ts';
import { createReferenceBackend } from '../reference/backend.ts';

/** The platform of Node, with the WASM builds where `npm run asc` puts them. */
export const testPlatform: Platform = createNodePlatform(new URL('../../build/wasm/', import.meta.url));

/** A fresh reference backend a model. */
export const onReference: OpenDevice = async () => ({
  backend: createReferenceBackend(),
  info: { kind: 'reference', description: 'f64 loops', reason: 'a test asked for it' },
});

/** OCTAVO_TEST_BACKEND=reference runs the stories on the f64 loops, to tell a wrong kernel from a wrong session. */
const reference = process.env['OCTAVO_TEST_BACKEND'] === 'reference';
export const testDevice: OpenDevice | undefined = reference ? onReference : undefined;

/** A model in this process without messages, on one WASM thread. */
export function loadTest(bytes: Uint8Array, settings: LoadSettings = {}): Promise<EngineModel> {
  return EngineModel.load(testPlatform, bytes, { device: 'wasm', threads: 1, ...settings }, {}, testDevice);
}

/** Starts engines in this process, over the same messages as a worker's. */
export function testPlace(
  open: OpenDevice | undefined = testDevice,
  platform: Platform = testPlatform,
  delay = 0,
): FacePlatform<ModelStore> {
  return {
    startEngine: async () => {
      const { port1, port2 } = new MessageChannel();
      serveEngine(portEndpoint(port2), platform, open);
      return portEndpoint(port1);
    },
    input: cloneable,
    readPicture: async (input, signal) => {
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
      return readImage(input, { decoder: createNodeDecoder(), files: nodeFiles, signal });
    },
    capable: true,
    store: async () => undefined,
    sessions: async () => {
      const shelf = await platform.sessions?.();
      return shelf === undefined ? undefined : new SessionStore(shelf);
    },
  };
}

/** `Octavo` with its engine in this process; pictures take `delay` more milliseconds to decode. */
export function testFace(open?: OpenDevice, platform?: Platform, delay?: number): OctavoFace {
  return createFace(testPlace(open, platform, delay));
}
