/** What the tabs of the application tell each other. */
import type { LibraryProgress } from 'octavo';

export type News =
  /** Documents were added, read or removed. */
  | { readonly kind: 'library' }
  /** How far the tab that reads has come. */
  | { readonly kind: 'progress'; readonly progress: LibraryProgress }
  /** Something was asked, answered or cleared. */
  | { readonly kind: 'conversation'; readonly scope: string };

const channel = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel('document-qa');
const listeners = new Set<(news: News) => void>();
channel?.addEventListener('message', ({ data }: MessageEvent<News>) => {
  for (const listener of listeners) listener(data);
});

export function tell(news: News): void {
  channel?.postMessage(news);
}

export function hear(listener: (news: News) => void): void {
  listeners.add(listener);
}
