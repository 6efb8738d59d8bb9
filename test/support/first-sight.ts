/** Meeting what a fast machine finishes between two calls of a test. */
import type { Page } from 'playwright-core';

/**
 * Does something at the first change of the page after which `selector` is there (and its text matches `text`): between two calls of a test, a fast machine
 * finishes what the test wants to meet. What comes back waits until it was done (not for `reload`, which takes the page away): a state that held before the
 * test's own action must not be taken for the one after it.
 */
export const atFirstSight = async (
  page: Page,
  selector: string,
  act: 'click' | 'hide' | 'reload',
  text = '',
): Promise<() => Promise<void>> => {
  const meeting = await page.evaluateHandle(
    ({ wanted, action, pattern }) => {
      const state = { done: false };
      const watch = new MutationObserver(() => {
        const found = document.querySelector<HTMLElement>(wanted);
        if (found === null || !new RegExp(pattern).test(found.textContent ?? '')) return;
        watch.disconnect();
        state.done = true;
        if (action === 'click') found.click();
        else if (action === 'reload') location.reload();
        else {
          Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
          document.dispatchEvent(new Event('visibilitychange'));
        }
      });
      watch.observe(document.body, { childList: true, subtree: true, attributes: true, characterData: true });
      return state;
    },
    { wanted: selector, action: act, pattern: text },
  );
  return async () => {
    await page.waitForFunction(({ done }) => done, meeting);
  };
};
