/** Records of saved sessions: what is written is read, what is not as it was written is known, and blocks are divided among parts. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Checksums, ownerOf } from '../../src/kv/checksum.ts';
import {
  checkModel,
  decodeHead,
  encodeHead,
  partRuns,
  runBytes,
  runChecksums,
  wholeBlocks,
  type Head,
} from '../../src/saved/record.ts';
import { checkVersion, RECORD_VERSION } from '../../src/store/shelf.ts';
import { random } from '../support/random.ts';
import { openWasm } from '../support/wasm.ts';

const checksums = new Checksums(await openWasm('simd'));
const facts: Head['facts'] = {
  model: 'fingerprint',
  modelName: 'm.gguf',
  layers: 2,
  kvHeads: 1,
  headDim: 32,
  window: 512,
  settings: { temperature: 0, context: { kvBits: 4 } },
  filled: 70,
  images: [{ width: 2, height: 2, size: 2, route: undefined, counts: [3] }],
  spans: [{ at: 5, image: 0, span: 0 }],
  content: ['a "quoted" ü ', 0, ' b'],
  initial: [],
  turns: [{ role: 'user', content: ['x', 0] }],
};
const head: Head = {
  facts,
  ids: Int32Array.from({ length: 71 }, (_, i) => i * 7 - 3),
  positions: Int32Array.of(),
  formats: Uint8Array.of(3, 3, 0, 0, 0),
  checksums: Uint32Array.from({ length: 10 }, (_, i) => i * 0x1234567),
  pixels: Uint8Array.from({ length: 16 }, (_, i) => i),
};

describe('a head', () => {
  test.each<[string, Head]>([
    ['as it is', head],
    [
      'empty',
      {
        ...head,
        ids: new Int32Array(0),
        formats: new Uint8Array(0),
        checksums: new Uint32Array(0),
        pixels: new Uint8Array(0),
      },
    ],
    ['with positions', { ...head, positions: Int32Array.of(1, 2, 9) }],
  ])('%s: comes back', (_, each) => {
    const decoded = decodeHead(encodeHead(each, 'g', checksums), 'g', checksums)!;
    expect(decoded).toEqual({ ...each, facts: JSON.parse(JSON.stringify(each.facts)) });
  });

  test('of another generation, cut, longer, or with any bit changed, is none', () => {
    const bytes = encodeHead(head, 'g', checksums);
    expect(decodeHead(bytes, 'h', checksums)).toBeUndefined();
    for (let length = 0; length < bytes.length; length++)
      expect(decodeHead(bytes.slice(0, length), 'g', checksums)).toBeUndefined();
    expect(decodeHead(Uint8Array.from([...bytes, 0, 0, 0, 0]), 'g', checksums)).toBeUndefined();
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const changed = bytes.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeHead(changed, 'g', checksums)).toBeUndefined();
    }
  });

  test('noise is none, and never more than that', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) =>
        expect(decodeHead(bytes, 'g', checksums)).toBeUndefined(),
      ),
    );
  });

  test('a whole one of another version is refused by both numbers', () => {
    const bytes = encodeHead(head, 'g', checksums);
    bytes[4] = 9;
    const body = bytes.length - 8;
    const sums = checksums.of(bytes.subarray(0, body), Uint32Array.of(body), 0xffff_ffff, ownerOf('g'));
    bytes.set(new Uint8Array(sums.buffer), body);
    expect(() => decodeHead(bytes, 'g', checksums)).toThrow(
      expect.objectContaining({ code: 'changed', facts: { version: 9, reads: RECORD_VERSION } }),
    );
    expect(() => checkVersion(RECORD_VERSION)).not.toThrow();
    expect(() =>
      checkModel({ model: 'a'.repeat(64), modelName: 'a.gguf' }, { fingerprint: 'b'.repeat(64), name: 'b.gguf' }),
    ).toThrow(/a\.gguf \(fingerprint a{12}\).*b\.gguf \(b{12}\)/);
  });
});

describe('parts of pages', () => {
  const pagesPerBlock = 3;
  // A block of format 0 is 2.1 MB, of format 3 a fifth of that.
  const sizes = [700_000, 350_000, 200_000, 140_000, 70_000];

  test('hold whole blocks in order, each once, up to 8 MiB and always one', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4), { maxLength: 40 }), fc.constantFrom(1, 10), (codes, scale) => {
        const formats = Uint8Array.from(codes.flatMap((code) => [code, code, code]));
        const large = sizes.map((size) => size * scale);
        const runs = partRuns(formats, pagesPerBlock, large);
        let next = 0;
        for (const run of runs) {
          expect(run.start).toBe(next);
          expect(run.end).toBeGreaterThan(run.start);
          if (run.end - run.start > 1)
            expect(runBytes(formats, pagesPerBlock, large, run)).toBeLessThanOrEqual(8 << 20);
          next = run.end;
        }
        expect(next).toBe(codes.length);
      }),
    );
  });

  test('of several parts each is whole by itself only in its own place, and up to its first damaged page', () => {
    const small = [64, 32, 20, 12, 8];
    const formats = Uint8Array.of(3, 3, 3, 2, 2, 2, 0, 0, 0, 0, 0, 0);
    const numbers = random(8);
    const runs = [
      { start: 0, end: 2 },
      { start: 2, end: 4 },
    ];
    const parts = runs.map((run) =>
      Uint8Array.from({ length: runBytes(formats, pagesPerBlock, small, run) }, () => numbers.integer(0, 256)),
    );
    const sums = new Uint32Array(2 * formats.length);
    for (const [i, run] of runs.entries())
      sums.set(
        runChecksums(parts[i]!, formats, pagesPerBlock, small, run, 'g', checksums),
        2 * run.start * pagesPerBlock,
      );
    const stored: Head = { ...head, formats, checksums: sums };
    const whole = (bytes: Uint8Array | undefined, part: number, generation = 'g'): number =>
      wholeBlocks(stored, bytes, runs[part]!, pagesPerBlock, small, generation, checksums);
    expect([whole(parts[0], 0), whole(parts[1], 1)]).toEqual([2, 2]);
    expect([whole(parts[1], 0), whole(parts[0], 1), whole(undefined, 0), whole(parts[0], 0, 'h')]).toEqual([
      0, 0, 0, 0,
    ]);
    for (let at = 0; at < parts[0]!.length; at++) {
      const changed = parts[0]!.slice();
      changed[at]! ^= 0x10;
      expect(whole(changed, 0)).toBe(at < 36 ? 0 : 1);
      expect(whole(parts[0]!.slice(0, at), 0)).toBe(at < 36 ? 0 : 1);
    }
    expect(whole(Uint8Array.from([...parts[0]!, 1]), 0)).toBe(0);
    // Equal pages in each other's place have sums of their own.
    const equal = parts[1]!.slice();
    equal.copyWithin(64, 0, 64);
    const before = runChecksums(equal, formats, pagesPerBlock, small, runs[1]!, 'g', checksums);
    expect(before.slice(0, 2)).not.toEqual(before.slice(2, 4));
  });
});
