/** Which of a picture's tokens the language model reads. Plain data: it crosses to the engine's worker. */
import { InputError } from '../../errors.ts';

/** ToDRE (max-sum), DivPrune (max-min), CDPruner (a determinantal choice by the question), ShowUI (components of a screenshot), or chance. */
export type VisualMethod = 'todre' | 'divprune' | 'cdpruner' | 'showui' | 'random';

/** Drops the keys and values of images from the upper layers once a prompt's text pays them hardly any attention (ToDRE's second stage). */
export interface ReleaseOptions {
  /** The share of attention below which images count as unused. Default .1 */
  readonly tau?: number | undefined;
  /** First layer without them. Default: seven eighths up. */
  readonly layer?: number | undefined;
}

export interface VisualSelection {
  readonly method: VisualMethod;
  /**
   * How many tokens stay. At most 1: a share of those that may go (default .25); those that never go, MAR's buffers, come on top. Above: a number,
   * those that never go included. 'auto': until the next one is too much like one that is kept (`todre`, `divprune`), or one a component (`showui`).
   */
  readonly keep?: number | 'auto' | undefined;
  /**
   * 'auto': the least cosine distance to the nearest one kept, 0 to 2, default .05. `showui`: the most that neighbouring patches differ by
   * to be one component, as the root of the mean squared difference of their values in -1..1; default .05.
   */
  readonly threshold?: number | undefined;
  /** `random`, `showui`, and `todre` with `pivot: 'random'`. Default 0. */
  readonly seed?: number | undefined;
  /** `todre`: which token is chosen first where the vision tower has no class token: the one farthest from the mean (default), or one drawn by the seed. */
  readonly pivot?: 'farthest' | 'random' | undefined;
  /** `todre`: what is made least: the sum of the cosines with those kept (default), or, as in the paper's first version, the largest of them. */
  readonly spread?: 'sum' | 'center' | undefined;
  /** `todre`: 'int8' chooses by the rounded embeddings alone: a fifth faster, and not quite the method's own choice. Default 'exact'. */
  readonly precision?: 'exact' | 'int8' | undefined;
  /** `cdpruner`: tokens unlike the question matter most. Default false. */
  readonly negated?: boolean | undefined;
  /** Default false. */
  readonly release?: boolean | ReleaseOptions | undefined;
}

/** Checked, with its defaults. */
export interface VisualChoice {
  /** `outliers`: those of the largest norm, which DAMRO contrasts with; not for sessions to choose. */
  readonly method: VisualMethod | 'outliers';
  readonly keep: number | 'auto';
  readonly threshold: number;
  readonly seed: number;
  readonly pivot: 'farthest' | 'random';
  readonly spread: 'sum' | 'center';
  readonly precision: 'exact' | 'int8';
  readonly negated: boolean;
  readonly release: { readonly tau: number; readonly layer: number } | undefined;
}

/** `layer` of a choice that leaves it to the model's depth. */
export const SEVEN_EIGHTHS = -1;

const METHODS: readonly VisualMethod[] = ['todre', 'divprune', 'cdpruner', 'showui', 'random'];
const MEMBERS: ReadonlySet<string> = new Set([
  'method',
  'keep',
  'threshold',
  'seed',
  'pivot',
  'spread',
  'precision',
  'negated',
  'release',
]);
const KEEP = 0.25;
const TAU = 0.1;
/** Measured on nano's pictures: at .05 answers are as good as with all tokens within 3 of 100, at .1 no more. */
const NOVELTY = 0.05;
const DIFFERENCE = 0.05;

const NAME = 'context.visual';

/** Checks a selection and fills in its defaults; undefined where all tokens are kept. Throws `InputError('argument')` for invalid values. */
export function readSelection(asked: 'all' | VisualMethod | VisualSelection | undefined): VisualChoice | undefined {
  if (asked === undefined || asked === 'all') return undefined;
  const given: VisualSelection = typeof asked === 'string' ? { method: asked } : asked;
  if (typeof given !== 'object' || given === null) throw wrong('', asked, `'all', a method or {method}`);
  const {
    method,
    keep = KEEP,
    seed = 0,
    pivot = 'farthest',
    spread = 'sum',
    precision = 'exact',
    negated = false,
    release,
  } = given;
  const unknown = Object.keys(given).find((name) => !MEMBERS.has(name));
  if (unknown !== undefined)
    throw new InputError('argument', `${NAME}.${unknown} is not known; use ${[...MEMBERS].join(', ')}`, {
      name: unknown,
    });
  oneOf('method', method, METHODS);
  oneOf('pivot', pivot, ['farthest', 'random']);
  oneOf('spread', spread, ['sum', 'center']);
  oneOf('precision', precision, ['exact', 'int8']);
  if (typeof negated !== 'boolean') throw wrong('.negated', negated, 'true or false');
  if (!Number.isInteger(seed)) throw wrong('.seed', seed, 'a whole number');
  if (keep === 'auto') {
    if (method === 'random' || method === 'cdpruner')
      throw wrong('.keep', keep, `a share or a number: '${method}' does not know when to stop`);
  } else if (
    !(typeof keep === 'number' && keep > 0 && Number.isFinite(keep) && (keep <= 1 || Number.isInteger(keep)))
  ) {
    throw wrong('.keep', keep, `a share above 0 and at most 1, a whole number of tokens above 1, or 'auto'`);
  }
  const { threshold = method === 'showui' ? DIFFERENCE : NOVELTY } = given;
  if (!(typeof threshold === 'number' && threshold >= 0 && threshold <= 2))
    throw wrong('.threshold', threshold, 'a number from 0 to 2');
  return { method, keep, threshold, seed, pivot, spread, precision, negated, release: readRelease(release) };
}

function readRelease(asked: boolean | ReleaseOptions | undefined): VisualChoice['release'] {
  if (asked === undefined || asked === false) return undefined;
  if (asked !== true && (typeof asked !== 'object' || asked === null))
    throw wrong('.release', asked, 'true, false or {tau, layer}');
  const { tau = TAU, layer = SEVEN_EIGHTHS } = asked === true ? {} : asked;
  if (!(typeof tau === 'number' && tau >= 0 && tau <= 1)) throw wrong('.release.tau', tau, 'a number from 0 to 1');
  if (!Number.isInteger(layer) || layer < SEVEN_EIGHTHS) throw wrong('.release.layer', layer, 'the number of a layer');
  return { tau, layer };
}

function oneOf(name: string, value: unknown, known: readonly string[]): void {
  if (!known.includes(String(value))) throw wrong(`.${name}`, value, known.map((one) => `'${one}'`).join(', '));
}

function wrong(name: string, value: unknown, remedy: string): InputError {
  return new InputError(
    'argument',
    `${NAME}${name}: ${JSON.stringify(value) ?? String(value)} is not valid; use ${remedy}`,
    { name: `${NAME}${name}` },
  );
}

/** The tokens of the largest norm, nothing else. */
export function outliers(tokens: number): VisualChoice {
  return {
    method: 'outliers',
    keep: tokens,
    threshold: 0,
    seed: 0,
    pivot: 'farthest',
    spread: 'sum',
    precision: 'exact',
    negated: false,
    release: undefined,
  };
}

/** How many of `n` tokens are kept, of which `fixed` always are; at least one of the others, where there are any. Undefined for 'auto', where only the selection finds out. */
export function keptCount(
  { method, keep }: Pick<VisualChoice, 'method' | 'keep'>,
  n: number,
  fixed: number,
): number | undefined {
  if (keep === 'auto') return undefined;
  const free = n - fixed;
  const wanted = keep < 1 || (keep === 1 && method !== 'outliers') ? Math.round(keep * free) : keep - fixed;
  return fixed + Math.min(free, Math.max(1, wanted));
}

/** What selection has to know of a span (`ImageSpan` of src/models/vision/vision-model.ts). */
interface Span {
  readonly tokens: number;
  readonly selectable: number;
}

/** Tokens `[start, end)` of all spans that are always kept. Outliers are selected among all tokens. */
export function fixedTokens(
  { method }: Pick<VisualChoice, 'method'>,
  spans: readonly Span[],
): readonly (readonly [start: number, end: number])[] {
  let end = 0;
  return spans.flatMap(({ tokens, selectable }) => {
    const start = end;
    end += tokens;
    return method === 'outliers' || selectable === tokens ? [] : [[start + selectable, end] as const];
  });
}

/** Tokens kept of each span, where that is known before they are selected: of several spans, which share what is kept, it is not. */
export function plannedCounts(choice: VisualChoice, spans: readonly Span[]): readonly number[] | undefined {
  const [only] = spans;
  if (only === undefined || spans.length > 1) return undefined;
  const count = keptCount(choice, only.tokens, choice.method === 'outliers' ? 0 : only.tokens - only.selectable);
  return count === undefined ? undefined : [count];
}

/** The choice again, with the number of kept tokens where it was known: the prompt has their placeholders, and another device might stop elsewhere. */
export function pinnedChoice(
  choice: VisualChoice,
  counts: readonly number[] | undefined,
  spans: readonly Span[],
): VisualChoice {
  if (choice.keep !== 'auto' || counts === undefined) return choice;
  const count = counts.reduce((sum, one) => sum + one, 0);
  // A `keep` of 1 would mean all tokens.
  return { ...choice, keep: count > 1 ? count : 0.5 / spans.reduce((sum, { tokens }) => sum + tokens, 0) };
}

/** Names a choice: equal names, equal tokens of equal pictures. Letters, digits and spaces. */
export function choiceName({ method, keep, threshold, seed, pivot, spread, precision, negated }: VisualChoice): string {
  return [method, keep, threshold, seed, pivot, spread, precision, negated]
    .join(' ')
    .replaceAll('-', 'minus')
    .replaceAll('.', 'point')
    .replaceAll('+', '');
}
