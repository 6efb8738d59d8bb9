/** Keeps windows on the app's own pages, as Electron's security guide asks. */
import type { Contents } from './electron.ts';

function originOf(address: string): string {
  if (!URL.canParse(address)) return '';
  const { protocol, host } = new URL(address);
  // `URL.origin` of schemes that the parser does not know is 'null'.
  return `${protocol}//${host}`;
}

/** No page leaves the app's origins, opens a window, or holds a web view. */
export function confine(contents: Contents, origins: readonly string[], onLink?: (address: string) => void): void {
  const isOwn = (address: string): boolean => origins.includes(originOf(address));
  contents.on('will-navigate', (event, address) => {
    if (!isOwn(address)) event.preventDefault();
  });
  contents.on('will-frame-navigate', (event) => {
    if (!isOwn(event.url)) event.preventDefault();
  });
  contents.on('will-redirect', (event, address) => {
    if (!isOwn(address)) event.preventDefault();
  });
  contents.on('will-attach-webview', (event) => event.preventDefault());
  contents.setWindowOpenHandler(({ url }) => {
    onLink?.(url);
    return { action: 'deny' };
  });
}
