/** Chooses the forms of a GPU's kernels, once for an adapter and its driver: what was measured is kept in the platform's records. */
import { FAMILIES } from '../../gpu/runtime/forms.ts';
import type { Backend } from '../backend/backend.ts';
import { selfCheck, tuneForms, type TuningSizes, type WebGpuBackend } from '../backend/webgpu.ts';
import type { Records } from '../store/records.ts';

/** Raised when a kernel with several forms changes, or the forms do. */
const VERSION = 1;

/** The name of the form in use, by family. */
type Choice = Readonly<Record<string, string>>;

/**
 * Leaves the backend with the fastest forms that compute as `judge` does, and checks the whole backend with them. Throws `DeviceError('self-check')` when it
 * is wrong even with forms measured now. Without records, or where they fail, the forms are measured each time.
 */
export async function checkAndTune(
  backend: WebGpuBackend,
  judge: Backend,
  records: Records | undefined,
  sizes?: TuningSizes,
): Promise<void> {
  const key = ['forms', VERSION, backend.description];
  const kept = await records?.get<Choice>(key).catch(() => undefined);
  if (kept && adopt(backend, kept)) {
    try {
      await selfCheck(backend, judge);
      return;
    } catch {
      // The driver has changed under the same name: measured again below.
    }
  }
  const report = await tuneForms(backend, judge, sizes);
  await selfCheck(backend, judge);
  const choice = Object.fromEntries(report.filter(({ chosen }) => chosen).map(({ family, form }) => [family, form]));
  // A choice that cannot be kept is measured again next time.
  await records?.put({ key, value: choice }).catch(() => undefined);
}

/** Returns whether all forms of the choice are to be had; those that are, are in use. */
function adopt({ forms }: WebGpuBackend, choice: Choice): boolean {
  return FAMILIES.every((family) => forms.choose(family, String(choice[family])));
}
