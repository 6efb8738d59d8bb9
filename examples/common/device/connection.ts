/** The network: whether there is one, and whether what is downloaded costs the user something. */
import { Observable } from '../observable.ts';

interface NetworkInformation {
  readonly saveData?: boolean;
  readonly type?: string;
  readonly effectiveType?: string;
}

export const online = new Observable(navigator.onLine);
addEventListener('online', () => (online.value = true));
addEventListener('offline', () => (online.value = false));

/** By what the browser tells: many tell nothing, and then it is not known to be. */
export function isMetered(): boolean {
  const { connection } = navigator as Navigator & { readonly connection?: NetworkInformation };
  if (connection === undefined) return false;
  return (
    connection.saveData === true ||
    connection.type === 'cellular' ||
    /^(slow-2g|2g|3g)$/.test(connection.effectiveType ?? '')
  );
}
