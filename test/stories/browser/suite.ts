/**
 * As much of jest as the backends' suites use, for a page: bundled in the place of `@jest/globals`. Tests run one after the other, in order.
 * What is missing here fails the test that uses it.
 */
type Body = (...values: unknown[]) => unknown;

interface Group {
  readonly name: string;
  readonly before: Body[];
  readonly beforeTest: Body[];
  readonly after: Body[];
  readonly steps: (Group | { readonly name: string; readonly body: Body })[];
}

export interface SuiteResult {
  readonly passed: number;
  /** Full names, with what was thrown. */
  readonly failed: readonly string[];
}

const group = (name: string): Group => ({ name, before: [], beforeTest: [], after: [], steps: [] });
let current = group('');
let currentTestName = '';

export const beforeAll = (body: Body): number => current.before.push(body);
export const beforeEach = (body: Body): number => current.beforeTest.push(body);
export const afterAll = (body: Body): number => current.after.push(body);

/** Every case of `each` gets its number and its value into its name, which must be unique. */
const each =
  (define: (name: string, body: Body) => void) =>
  (cases: readonly unknown[]) =>
  (name: string, body: Body): void => {
    cases.forEach((row, i) =>
      define(`${name} (${i}: ${JSON.stringify(row)})`, () =>
        Array.isArray(row) ? body(...(row as unknown[])) : body(row),
      ),
    );
  };

function defineGroup(name: string, body: Body): void {
  const outer = current;
  current = group(name);
  body();
  outer.steps.push(current);
  current = outer;
}
function defineTest(name: string, body: Body): void {
  current.steps.push({ name, body });
}
export const describe = Object.assign(defineGroup, { each: each(defineGroup) });
export const test = Object.assign(defineTest, { each: each(defineTest) });

/** Runs all that was defined since the last time. */
export async function runSuite(): Promise<SuiteResult> {
  const root = current;
  current = group('');
  const failed: string[] = [];
  const counts = { passed: 0 };
  await runGroup(root, '', [], failed, counts);
  return { passed: counts.passed, failed };
}

async function runGroup(
  one: Group,
  path: string,
  outer: readonly Body[],
  failed: string[],
  counts: { passed: number },
): Promise<void> {
  const beforeTest = [...outer, ...one.beforeTest];
  try {
    for (const body of one.before) await body();
    for (const step of one.steps) {
      const name = `${path} ${step.name}`.trim();
      if ('steps' in step) {
        await runGroup(step, name, beforeTest, failed, counts);
        continue;
      }
      currentTestName = name;
      try {
        for (const body of beforeTest) await body();
        await step.body();
        counts.passed++;
      } catch (error) {
        failed.push(`${name}: ${told(error)}`);
      }
    }
    for (const body of one.after) await body();
  } catch (error) {
    failed.push(`${path}: ${told(error)}`);
  }
}

const told = (error: unknown): string => (error instanceof Error ? `${error.name}: ${error.message}` : String(error));
const shown = (value: unknown): string =>
  typeof value === 'function' ? value.name : (JSON.stringify(value) ?? String(value)).slice(0, 200);

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

/** Whether `found` is as `wanted`, to any depth; of objects only what `wanted` has where `part`, and where a key is undefined on either side it may be missing. */
function same(found: unknown, wanted: unknown, part: boolean): boolean {
  if (Object.is(found, wanted)) return true;
  if (
    !isObject(found) ||
    !isObject(wanted) ||
    Object.prototype.toString.call(found) !== Object.prototype.toString.call(wanted)
  )
    return false;
  if (found instanceof Map || found instanceof Set || wanted instanceof Error)
    throw new Error('the suite compares no maps, sets or errors');
  if (Array.isArray(wanted) || ArrayBuffer.isView(wanted)) {
    const [a, b] = [found, wanted] as unknown as [ArrayLike<unknown>, ArrayLike<unknown>];
    if (a.length !== b.length) return false;
    for (let i = 0; i < b.length; i++) if (!same(a[i], b[i], part)) return false;
    return true;
  }
  return [...Object.keys(wanted), ...(part ? [] : Object.keys(found))].every((key) =>
    same(found[key], wanted[key], part),
  );
}

type Wanted = string | RegExp | (new (...values: never[]) => unknown) | undefined;

function thrown(error: unknown, wanted: Wanted): boolean {
  if (wanted === undefined) return true;
  if (typeof wanted === 'function') return error instanceof wanted;
  const text = error instanceof Error ? error.message : String(error);
  return typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text);
}

function matchers(found: unknown, sign: boolean) {
  const hold = (holds: boolean, what: string): void => {
    if (holds !== sign) throw new Error(`expected ${shown(found)} ${sign ? '' : 'not '}${what}`);
  };
  return {
    toBe: (wanted: unknown) => hold(Object.is(found, wanted), `to be ${shown(wanted)}`),
    toEqual: (wanted: unknown) => hold(same(found, wanted, false), `to equal ${shown(wanted)}`),
    toMatchObject: (wanted: unknown) => hold(same(found, wanted, true), `to match ${shown(wanted)}`),
    toMatch: (wanted: RegExp | string) => hold(thrown(found, wanted), `to match ${String(wanted)}`),
    toBeUndefined: () => hold(found === undefined, 'to be undefined'),
    toBeInstanceOf: (wanted: new () => unknown) => hold(found instanceof wanted, `to be a ${wanted.name}`),
    toBeGreaterThan: (wanted: number) => hold((found as number) > wanted, `to be above ${wanted}`),
    toBeGreaterThanOrEqual: (wanted: number) => hold((found as number) >= wanted, `to be at least ${wanted}`),
    toBeLessThan: (wanted: number) => hold((found as number) < wanted, `to be below ${wanted}`),
    toBeLessThanOrEqual: (wanted: number) => hold((found as number) <= wanted, `to be at most ${wanted}`),
    toBeCloseTo: (wanted: number, digits = 2) =>
      hold(Math.abs((found as number) - wanted) < 10 ** -digits / 2, `to be ${wanted} to ${digits} digits`),
    toHaveLength: (wanted: number) => hold((found as ArrayLike<unknown>).length === wanted, `to have ${wanted} items`),
    toThrow: (wanted?: Wanted) => {
      try {
        (found as () => unknown)();
      } catch (error) {
        return hold(thrown(error, wanted), `to throw ${shown(wanted)}, not ${told(error)}`);
      }
      hold(false, `to throw ${shown(wanted)}`);
    },
  };
}

function rejects(found: unknown) {
  const error = Promise.resolve(found).then(
    (value) => {
      throw new Error(`expected a rejection, not ${shown(value)}`);
    },
    (reason: unknown) => reason,
  );
  error.catch(() => {});
  const raise = (reason: unknown) => (): void => {
    throw reason;
  };
  return {
    toThrow: async (wanted?: Wanted) => matchers(raise(await error), true).toThrow(wanted),
    toMatchObject: async (wanted: unknown) => matchers(await error, true).toMatchObject(wanted),
    toBe: async (wanted: unknown) => matchers(await error, true).toBe(wanted),
  };
}

export const expect = Object.assign(
  (found: unknown) => ({
    ...matchers(found, true),
    not: matchers(found, false),
    get rejects() {
      return rejects(found);
    },
  }),
  {
    getState: () => ({ currentTestName }),
  },
);
