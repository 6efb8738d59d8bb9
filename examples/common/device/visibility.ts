/** Whether the page is seen, and whether the device runs on its battery: long work may wait. */
import { Observable } from '../observable.ts';

interface BatteryManager extends EventTarget {
  readonly charging: boolean;
}

export const visible = new Observable(document.visibilityState === 'visible');
document.addEventListener('visibilitychange', () => (visible.value = document.visibilityState === 'visible'));

/** False where browsers do not tell (all but Chromium). */
export const onBattery = new Observable(false);

const { getBattery } = navigator as Navigator & { readonly getBattery?: () => Promise<BatteryManager> };
getBattery
  ?.call(navigator)
  .then((battery) => {
    const tell = (): void => void (onBattery.value = !battery.charging);
    battery.addEventListener('chargingchange', tell);
    tell();
  })
  .catch(() => undefined);
