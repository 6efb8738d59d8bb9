/** Loads what a file holds: a model that generates, or one that reads whole texts for vectors and scores. */
import type { ModelInput } from '../load/index.ts';
import { encoderOf } from '../models/registry.ts';
import type { Platform } from '../platform/platform.ts';
import type { LoadSettings } from '../worker/api.ts';
import { openDevice } from './device.ts';
import { openFile, type LoadListener } from './loaded.ts';
import type { LoadedModel } from './loaded-model.ts';
import { EngineModel, type OpenDevice } from './model.ts';

export async function loadAny(
  platform: Platform,
  input: ModelInput,
  settings: LoadSettings,
  listener: LoadListener,
  open: OpenDevice = (request, signal) => openDevice(platform, request, signal),
): Promise<LoadedModel> {
  const file = await openFile(platform, input, settings, listener);
  try {
    const parts = { platform, open, input, settings };
    const plan = await encoderOf(file);
    if (plan === undefined) return await EngineModel.of(parts, file, listener);
    // Pages that only chat do not download it.
    const { EngineEncoder } = await import('./encoder.ts');
    return await EngineEncoder.load(parts, file, plan, listener);
  } finally {
    await file.close();
  }
}
