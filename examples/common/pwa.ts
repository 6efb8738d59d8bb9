/** Installing the application, using it without a network, and new versions of it. */
import { registerSW } from 'virtual:pwa-register';
import { common } from './messages.ts';
import { Observable } from './observable.ts';
import { toast } from './toasts.ts';

interface InstallPrompt extends Event {
  prompt(): Promise<unknown>;
}

/** What the browser offers to install; undefined where it is installed, or where browsers have a menu of their own for it. */
export const installable = new Observable<(() => void) | undefined>(undefined);

addEventListener('beforeinstallprompt', (event) => {
  event.preventDefault();
  installable.value = () => {
    installable.value = undefined;
    void (event as InstallPrompt).prompt();
  };
});
addEventListener('appinstalled', () => (installable.value = undefined));

/** Starts the service worker when the page is loaded, so that it takes nothing from the first paint. */
export function startServiceWorker(): void {
  if (import.meta.env.DEV) return;
  const update = registerSW({
    onNeedRefresh: () =>
      toast(common('newVersion'), { action: { label: common('reload'), run: () => void update(true) } }),
  });
}
