/** A GGUF model and its projector file ("mmproj"), which holds what sees, as one. */
import { createSHA256 } from 'hash-wasm';
import type { ModelFile } from './model-file.ts';

/** Closing it closes both. `read` reads the language model; the projector is read by itself. */
export async function withProjector(model: ModelFile, projector: ModelFile): Promise<ModelFile> {
  const hash = (await createSHA256()).init().update(model.fingerprint + projector.fingerprint);
  return {
    name: model.name,
    metadata: model.metadata,
    tensors: model.tensors,
    projector,
    bytes: model.bytes + projector.bytes,
    fingerprint: hash.digest('hex'),
    read: (writer, options) => model.read(writer, options),
    close: async () => {
      await Promise.all([model.close(), projector.close()]);
    },
  };
}
