import type { BrowserContext } from 'playwright-core';
export interface TestBrowser {
  readonly context: BrowserContext;
  reopen(): Promise<BrowserContext>;
  close(): Promise<void>;
}
export function openBrowser(options?: { args?: readonly string[] }): Promise<TestBrowser>;
export function hasBrowser(): Promise<boolean>;
