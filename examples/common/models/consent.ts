/** Asks before a large download on a connection that costs the user something. */
import { isMetered } from '../device/connection.ts';
import { confirm } from '../dialog.ts';
import { bytes } from '../format.ts';
import { common } from '../messages.ts';
import { titleOf, type ModelChoice } from './choice.ts';
import { isStored } from './stored.ts';

/** Smaller downloads are not worth a question. */
const LARGE = 20_000_000;

/** Whether its use takes a download that the user should have asked for. */
export async function isLargeDownload(choice: ModelChoice): Promise<boolean> {
  if (choice.kind === 'own' || (await isStored(choice))) return false;
  return choice.kind === 'address' || choice.entry.bytes >= LARGE;
}

export async function downloadConsent(choice: ModelChoice): Promise<boolean> {
  if (!isMetered() || !(await isLargeDownload(choice))) return true;
  const size = choice.kind === 'catalogue' ? choice.entry.bytes : undefined;
  return confirm({
    title: common('consentTitle', { name: titleOf(choice) }),
    body: size === undefined ? common('consentUnknown') : common('consentBody', { size: bytes(size) }),
    yes: common('download'),
  });
}
