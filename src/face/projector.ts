/** The `mmproj` of a call as it is sent to the engine. */
import type { ModelInput } from '../load/index.ts';
import type { LoadSettings } from '../worker/api.ts';
import type { FacePlatform } from './octavo.ts';

/** A bare name refers to a file beside the model, and stays as it is. */
export async function projectorFor(
  platform: Pick<FacePlatform, 'input'>,
  mmproj: LoadSettings['mmproj'],
): Promise<ModelInput | false | undefined> {
  const plain = mmproj === undefined || mmproj === false || (typeof mmproj === 'string' && !/[/\\:]/.test(mmproj));
  return plain ? mmproj : platform.input(mmproj);
}
