/** The application examples/document-qa, built once, served to a fresh origin, and driven as a person would. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BrowserContext, Page } from 'playwright-core';
import { serve } from '../../tools/static-server.mjs';

export const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** In milliseconds: the first build installs what examples need. */
export const BUILD_TIME = 300_000;

export type Server = Awaited<ReturnType<typeof serve>>;

/** What was built, as an origin of its own, so that every story begins with nothing kept. */
export function serveDocuments(): Promise<Server> {
  return serve({ mounts: { '/': root('examples/document-qa/dist') } });
}

export interface Visit {
  readonly page: Page;
  /** Errors, complaints of the console, and what the content security policy refused. */
  readonly complaints: string[];
}

export async function visit(context: BrowserContext, { origin }: Server): Promise<Visit> {
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
      console.error(`refused by ${violatedDirective}: ${blockedURI}`),
    );
  });
  await page.goto(`${origin}/`);
  return { page, complaints };
}

/** Asks, and waits for the answer's text. */
export async function ask(page: Page, question: string): Promise<string> {
  await page.fill('doc-composer textarea', question);
  await page.press('doc-composer textarea', 'Enter');
  return answered(page, question);
}

export async function answered(page: Page, question: string): Promise<string> {
  const exchange = page.locator('.exchange', { hasText: question }).last();
  await exchange.locator('.answer[aria-busy=false] .actions').waitFor();
  return (await exchange.locator('.answer-text').innerText()).trim();
}

/** Gives files as the file dialog does, and waits until all documents were read. */
export async function add(
  page: Page,
  ...files: readonly { readonly name: string; readonly mimeType: string; readonly buffer: Buffer }[]
): Promise<void> {
  await page.setInputFiles('#files', [...files]);
  for (const { name } of files) await page.locator('.entry-row', { hasText: name }).waitFor({ state: 'attached' });
  await page.waitForFunction(() => document.querySelector('.entry-row[data-state=waiting]') === null);
}

interface AxeResult {
  readonly id: string;
  readonly impact: string;
  readonly help: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary: string }[];
}

/** What axe finds serious or critical on the page as it stands. */
export async function axe(page: Page): Promise<readonly string[]> {
  const source = readFileSync(root('examples/node_modules/axe-core/axe.min.js'), 'utf8');
  await page.evaluate(source);
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(options: object): Promise<{ violations: AxeResult[] }> } };
    return (await axe.run({ resultTypes: ['violations'] })).violations;
  });
  return found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(
      ({ id, help, nodes }) =>
        `${id}: ${help}: ${nodes.map(({ target, failureSummary }) => `${target.join(' ')} (${failureSummary})`).join('; ')}`,
    );
}
