/** Search by meaning in the document application, switched faster than its model loads. */
import { expect, test } from '@jest/globals';
import { Meaning } from '../../examples/document-qa/state/meaning.ts';

/** A page in which a load ends when a test says so. */
class Page {
  wanted = true;
  allowed = true;
  loads = 0;
  readonly models = new Set<number>();
  /** What the documents were opened with; one opening at a time. */
  readonly opened: (number | undefined)[] = [];
  opening = 0;
  refusals: unknown[] = [];
  finish: (fault?: Error) => void = () => {};
  readonly meaning = new Meaning<number>({
    wanted: () => this.wanted,
    allowed: async () => this.allowed,
    load: (signal) =>
      new Promise((resolve, reject) => {
        const model = ++this.loads;
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        this.finish = (fault) => {
          if (fault !== undefined) return reject(fault);
          this.models.add(model);
          resolve(model);
        };
      }),
    destroy: async (model) => void this.models.delete(model),
    open: async (model) => {
      expect(++this.opening).toBe(1);
      await new Promise(setImmediate);
      this.opening--;
      this.opened.push(model);
    },
    refused: (error) => {
      this.refusals.push(error);
      this.wanted = false;
    },
  });

  switch(wanted: boolean): Promise<void> {
    this.wanted = wanted;
    return this.meaning.apply();
  }

  async loading(count: number): Promise<void> {
    while (this.loads < count) await new Promise(setImmediate);
  }
}

test('switched on, off and on while the model loads: one model is there, and the documents are open with it', async () => {
  const page = new Page();
  const changes = [page.switch(true)];
  await page.loading(1);
  changes.push(page.switch(false), page.switch(true));
  await page.loading(2);
  page.finish();
  await Promise.all(changes);
  expect([...page.models]).toEqual([2]);
  expect(page.opened.at(-1)).toBe(2);
  expect(page.refusals).toEqual([]);
  await page.switch(false);
  expect([...page.models]).toEqual([]);
  expect(page.opened.at(-1)).toBeUndefined();
});

test('where the model may not be loaded, or cannot be, words are searched', async () => {
  const page = new Page();
  page.allowed = false;
  await page.switch(true);
  expect([page.loads, page.opened, page.refusals]).toEqual([0, [undefined], [undefined]]);
  page.allowed = true;
  const change = page.switch(true);
  await page.loading(1);
  page.finish(new Error('no network'));
  await change;
  expect(page.refusals.at(-1)).toMatchObject({ message: 'no network' });
  expect(page.opened.at(-1)).toBeUndefined();
});
