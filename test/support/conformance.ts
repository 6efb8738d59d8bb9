/**
 * The suite that every backend passes: each operation of the contract against `test/reference`, on the same bytes.
 * A failure names operation, shape, format, and the NMSE found and allowed (test/support/tolerance.ts).
 */
import { afterAll, beforeAll, beforeEach, describe } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { attention } from './conformance/attention.ts';
import { company } from './conformance/company.ts';
import { Subject } from './conformance/harness.ts';
import { memory } from './conformance/memory.ts';
import { pages } from './conformance/pages.ts';
import { pictures } from './conformance/pictures.ts';
import { probe } from './conformance/probe.ts';
import { products } from './conformance/products.ts';
import { refusals } from './conformance/refusals.ts';
import { states } from './conformance/states.ts';
import { sampling } from './conformance/sampling.ts';

export function conformance(name: string, create: () => Promise<Backend>): void {
  describe(`conformance: ${name}`, () => {
    const subject = new Subject(name);
    beforeAll(async () => {
      subject.device = await create();
    });
    beforeEach(() => {
      subject.begin();
    });
    afterAll(() => {
      subject.device.destroy();
    });

    memory(subject);
    products(subject);
    attention(subject);
    company(subject);
    pages(subject);
    probe(subject);
    pictures(subject);
    states(subject);
    sampling(subject);
    refusals(subject);
  });
}
