/** `Octavo.inspect`, and what `availability` learns from a file's header. Fetched by pages that ask. */
import { FileError, InputError, ModelError, StorageError } from '../errors.ts';
import type { ModelInput } from '../load/index.ts';
import type { LoadSettings, ModelReport } from '../worker/api.ts';
import { Caller } from '../worker/caller.ts';
import { misfit } from './check.ts';
import type { FacePlatform } from './octavo.ts';
import { INSPECT } from './options.ts';
import { projectorFor } from './projector.ts';

/** Options of `Octavo.inspect`: the source of the files, and the device in question. */
export interface InspectOptions extends Omit<LoadSettings, 'threads' | 'build' | 'quantize' | 'sha256'> {
  /** Ends the call, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export async function inspect(
  platform: FacePlatform,
  input: ModelInput,
  options: InspectOptions = {},
  once = false,
): Promise<ModelReport> {
  const problem = misfit('inspect', options, INSPECT);
  if (problem !== undefined) return problem;
  const { signal, mmproj, ...others } = options;
  signal?.throwIfAborted();
  const place = await platform.input(input);
  const settings = { ...others, mmproj: await projectorFor(platform, mmproj) };
  const caller = new Caller(await platform.startEngine());
  try {
    return await caller.call('inspect', { input: place, settings, once }, { signal });
  } finally {
    caller.close();
  }
}

/** Answers for addresses, since pages ask again and again. */
const known = new Map<string, Promise<boolean>>();
const MOST_KNOWN = 100;

/**
 * Whether a model runs here, and sees if it is to. What the network does not tell now may be there later: only a header
 * that was read, or is not there, answers with false.
 */
export function runsHere(platform: FacePlatform, place: ModelInput, sees: boolean): Promise<boolean> {
  const key = `${sees} ${[place].flat().join(' ')}`;
  const answered = typeof place === 'string' ? known.get(key) : undefined;
  const answer = answered ?? ask(platform, place, sees);
  if (answered === undefined && typeof place === 'string' && known.size < MOST_KNOWN) {
    known.set(key, answer);
    answer.catch(() => known.delete(key));
  }
  return answer.catch(() => true);
}

/** Rejects where the header could not be read now. */
async function ask(platform: FacePlatform, place: ModelInput, sees: boolean): Promise<boolean> {
  try {
    const { runs, capabilities } = await inspect(platform, place, {}, true);
    return runs && (!sees || capabilities?.see === true);
  } catch (error) {
    const gone = error instanceof StorageError && [404, 410].includes(Number(error.facts['status']));
    if (gone || error instanceof FileError || error instanceof InputError || error instanceof ModelError) return false;
    throw error;
  }
}
