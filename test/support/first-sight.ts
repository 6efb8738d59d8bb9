/** Meeting what a fast machine finishes between two calls of a test. */
import type { Page } from 'playwright-core';

/**
 * Does something at the first change of the page after which `selector` is there (and its text matches `text`): between two calls of a test, a fast machine
 * finishes what the test wants to meet.
 */
export const atFirstSight = (
  page: Page,
  selector: string,
  act: 'click' | 'hide' | 'reload',
  text = '',
): Promise<void> =>
  page.evaluate(
    ({ wanted, action, pattern }) => {
      const watch = new MutationObserver(() => {
        const found = document.querySelector<HTMLElement>(wanted);
        if (found === null || !new RegExp(pattern).test(found.textContent ?? '')) return;
        watch.disconnect();
        if (action === 'click') found.click();
        else if (action === 'reload') location.reload();
        else {
          Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
          document.dispatchEvent(new Event('visibilitychange'));
        }
      });
      watch.observe(document.body, { childList: true, subtree: true, attributes: true, characterData: true });
    },
    { wanted: selector, action: act, pattern: text },
  );
