/** Which of an image's tokens the language model reads. Plain data: it crosses to the engine's worker. */
import { InputError } from '../../errors.ts';

/**
 * ToDRE (k-center), DivPrune (max-min), CDPruner (a determinantal choice by the question), ShowUI (components of a
 * screenshot), or random.
 */
export type VisualMethod = 'todre' | 'divprune' | 'cdpruner' | 'showui' | 'random';

/**
 * Releases the keys and values of images in the upper layers when a prompt's text pays them hardly any attention
 * (ToDRE's second stage).
 */
export interface ReleaseOptions {
  /** The share of attention below which images count as unused. Default .1 */
  readonly tau?: number | undefined;
  /** The first layer without them. Default: at seven eighths of the layers. */
  readonly layer?: number | undefined;
}

/** Which of a picture's tokens are read; the guide to visual tokens compares the methods. */
export interface VisualSelection {
  /** The method that chooses. */
  readonly method: VisualMethod;
  /**
   * How many tokens are kept. At most 1: a share of the image's tokens (default .25). Above 1: a number. Both count the
   * tokens that are always kept, such as MAR's buffers; at least one other token is kept. `showui`: a share is that of
   * each component of several patches; components of one patch are always kept. 'auto': until the next token is too
   * similar to a kept one (`todre`, `divprune`), or one for each component (`showui`).
   */
  readonly keep?: number | 'auto' | undefined;
  /**
   * 'auto': the least cosine distance to the nearest kept token, 0 to 2, default .05. `showui`: the largest difference
   * of neighbouring patches of one component, as the root of the mean squared difference of their values in -1..1;
   * default .05.
   */
  readonly threshold?: number | undefined;
  /** For `random`, `showui`, and `todre` with `pivot: 'random'`. Default 0. */
  readonly seed?: number | undefined;
  /** `todre`: the token that is chosen first: the one farthest from the mean (default), or one drawn by the seed. */
  readonly pivot?: 'farthest' | 'random' | undefined;
  /**
   * `todre`: what is minimised: the largest of the cosines with the kept tokens (`center`, the greedy k-center of the
   * paper's abstract, default), or their sum (`sum`, max-sum).
   */
  readonly spread?: 'sum' | 'center' | undefined;
  /**
   * `todre` with `spread: 'sum'`: 'int8' chooses by the rounded embeddings only: a fifth faster, but not exactly the
   * method's own choice. Default 'exact'.
   */
  readonly precision?: 'exact' | 'int8' | undefined;
  /** `cdpruner`: prefers tokens unlike the question. Default false. */
  readonly negated?: boolean | undefined;
  /** Default false. */
  readonly release?: boolean | ReleaseOptions | undefined;
}

/** A checked choice, with its defaults. */
export interface VisualChoice {
  /** `outliers`: the tokens of the largest norm, with which DAMRO contrasts; sessions cannot choose it. */
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

/** `layer` of a choice that depends on the model's depth. */
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
    spread = 'center',
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
  if (precision === 'int8' && (method !== 'todre' || spread !== 'sum'))
    throw wrong('.precision', precision, `'exact', or method 'todre' with spread: 'sum'`);
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

/** Returns a choice of only the tokens of the largest norm. */
export function outliers(tokens: number): VisualChoice {
  return {
    method: 'outliers',
    keep: tokens,
    threshold: 0,
    seed: 0,
    pivot: 'farthest',
    spread: 'center',
    precision: 'exact',
    negated: false,
    release: undefined,
  };
}

/**
 * Returns how many of `n` tokens are kept, of which `fixed` always are; at least one of the others, if there are any.
 * Undefined where only the selection determines it: for 'auto', and for a share of each component.
 */
export function keptCount(
  { method, keep }: Pick<VisualChoice, 'method' | 'keep'>,
  n: number,
  fixed: number,
): number | undefined {
  if (keep === 'auto' || (method === 'showui' && keep <= 1)) return undefined;
  const wanted = keep < 1 || (keep === 1 && method !== 'outliers') ? Math.round(keep * n) : keep;
  return Math.min(n, Math.max(fixed + 1, wanted));
}

/** The facts about a span that selection needs (`ImageSpan` of src/models/vision/vision-model.ts). */
interface Span {
  readonly tokens: number;
  readonly selectable: number;
}

/** Tokens `[start, end)` of all spans that are not selected but always kept; those of `outliers` are always dropped. */
export function fixedTokens(spans: readonly Span[]): readonly (readonly [start: number, end: number])[] {
  let end = 0;
  return spans.flatMap(({ tokens, selectable }) => {
    const start = end;
    end += tokens;
    return selectable === tokens ? [] : [[start + selectable, end] as const];
  });
}

/**
 * Returns the number of tokens kept of each span, if it is known before they are selected; it is not known for several
 * spans that share the kept tokens.
 */
export function plannedCounts(choice: VisualChoice, spans: readonly Span[]): readonly number[] | undefined {
  const [only] = spans;
  if (only === undefined || spans.length > 1) return undefined;
  const { tokens, selectable } = only;
  const count =
    choice.method === 'outliers' ? keptCount(choice, selectable, 0) : keptCount(choice, tokens, tokens - selectable);
  return count === undefined ? undefined : [count];
}

/**
 * Returns the choice with the known number of kept tokens: the prompt has placeholders for them, and another device
 * might stop elsewhere.
 */
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

/** Returns a name of a choice: equal names mean equal tokens of equal images. Letters, digits and spaces. */
export function choiceName({ method, keep, threshold, seed, pivot, spread, precision, negated }: VisualChoice): string {
  return [method, keep, threshold, seed, pivot, spread, precision, negated]
    .join(' ')
    .replaceAll('-', 'minus')
    .replaceAll('.', 'point')
    .replaceAll('+', '');
}
