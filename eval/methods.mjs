// What the context and long evaluations compare: key -> a title, the part of the context that it changes (`of`), and the session's `context`.
// Settings are the library's defaults but where a title says otherwise; budgets are shares of the tokens before a query, or tokens.

/**
 * @typedef {{ title: string; of: string; context: import('../src/public.ts').ContextOptions }} Method
 * @typedef {Record<string, Method>} Methods
 */

/** By default the last queries of a prompt see everything: with this they choose their keys like all others, and only 32 keys before a query are always seen. */
const SPARSE = { local: 32, instruction: 1 };

/** A small budget has more keys to choose from if fewer of the newest are always seen; `keys` has this by default. */
const NEAR = { local: 32 };

/** @type {Methods} */
const PAGES = {
  kv8: { title: '8 bits', of: 'pages', context: { kvBits: 8 } },
  kv4: { title: '4 bits', of: 'pages', context: { kvBits: 4 } },
  k4v2: { title: 'keys 4 bits, values 2', of: 'pages', context: { kvBits: { keys: 4, values: 2 } } },
  kv2: { title: '2 bits', of: 'pages', context: { kvBits: 2 } },
  staircase: { title: 'staircase 8, 4, 2 bits', of: 'pages', context: { kvBits: 'staircase' } },
};
/** @type {Methods} */
const FLEX = { flex: { title: 'FlexPrefill', of: 'prefill', context: { prefill: 'flex' } } };

/** What chooses a budget of keys at prefill: the key's beginning -> its title and options. */
const PLANNERS = {
  dhsa: { title: 'DHSA', method: 'dhsa' },
  'dhsa-learned': { title: 'DHSA, learned boundaries', method: 'dhsa', boundaries: 'learned' },
  'dhsa-similarity': { title: 'DHSA, boundaries by similarity', method: 'dhsa', boundaries: 'similarity' },
  blocks: { title: 'block top-k', method: 'blocks' },
  'vertical-slash': { title: 'vertical-slash', method: 'vertical-slash' },
  keys: { title: 'single keys', method: 'keys' },
  window: { title: 'sliding window with sinks', method: 'window' },
};

/** Planners at one budget. `suffix`: of the keys; `more`: options besides the budget, of which a window has no `local`. */
const planned = (names, { of, suffix = '', title, budget, more = {} }) =>
  Object.fromEntries(
    names.map((name) => {
      const { title: planner, ...options } = PLANNERS[name];
      const { local: _local, ...ofWindow } = more;
      const prefill = { ...options, budget, ...(options.method === 'window' ? ofWindow : more) };
      return [`${name}${suffix}`, { title: `${planner}${title}`, of, context: { prefill } }];
    }),
  );

const CHOOSERS = { tokens: 'TokenSelect', sentences: 'SentenceKV', retrieve: 'ReKV blocks' };

/** What chooses `budget` keys for each generated token. */
const decoded = (budget, { suffix = '', sinks, names = Object.keys(CHOOSERS) }) =>
  Object.fromEntries(
    names.map((method) => [
      `${method}${suffix}`,
      {
        title: `${CHOOSERS[method]}, ${budget.toLocaleString('en')} tokens`,
        of: 'decode',
        context: { decode: { method, budget, sinks, local: 64 } },
      },
    ]),
  );
const recent = (key) => ({
  [key]: { title: 'window of 256 at decode', of: 'decode', context: { decode: { method: 'window', budget: 256 } } },
});

const EVICTORS = { snapkv: 'SnapKV', compresskv: 'CompressKV' };
const evicted = (method, suffix, title, evict) => ({
  [`${method}${suffix}`]: {
    title: `${EVICTORS[method]}, ${title}`,
    of: 'evict',
    context: { evict: { method, ...evict } },
  },
});

/** @type {Methods} */
const HEADS = {
  razor: { title: 'RazorAttention, half the heads', of: 'heads', context: { heads: { method: 'razor', keep: 0.5 } } },
  'mean-query': {
    title: 'Mean-query heads, half',
    of: 'heads',
    context: { heads: { method: 'mean-query', keep: 0.5 } },
  },
};

const NANO = ['dhsa-learned', 'dhsa-similarity', 'blocks', 'window', 'vertical-slash'];
const TIGHT = { of: 'tight', suffix: '-tight', title: '; 10 %, sparse question', budget: 0.1, more: SPARSE };

/** Of the context evaluation. Decode's budgets are shorter than the papers' own, which are longer than nano's documents. */
/** @type {Methods} */
export const METHODS = {
  dense: { title: 'dense', of: 'base', context: {} },
  ...PAGES,
  ...planned(NANO, { of: 'prefill', title: '', budget: 0.25 }),
  ...FLEX,
  ...planned(NANO, TIGHT),
  ...decoded(256, { sinks: 4 }),
  ...recent('decode-window'),
  ...evicted('snapkv', '', 'half kept', { keep: 0.5 }),
  ...evicted('snapkv', '-answer', 'half kept for the answer', { keep: 0.5, scope: 'answer' }),
  ...evicted('compresskv', '', 'half kept', { keep: 0.5 }),
  ...HEADS,
};

const REAL = ['dhsa', 'blocks', 'vertical-slash', 'keys', 'window'];

/** The budget of DHSA's authors: as many keys for every query, here a tenth of 4,096 and of 8,192. */
const fixed = (budget) =>
  planned(['dhsa', 'blocks', 'vertical-slash', 'keys'], {
    of: `fixed-${budget}`,
    suffix: `-${budget}`,
    title: `, ${budget} keys, 32 newest`,
    budget,
    more: NEAR,
  });

/** Of the long evaluation, whose models have no learned predictor. */
/** @type {Methods} */
export const LONG_METHODS = {
  dense: { title: 'dense', of: 'base', context: {} },
  balanced: { title: 'preset balanced', of: 'presets', context: { preset: 'balanced' } },
  small: { title: 'preset small', of: 'presets', context: { preset: 'small' } },
  ...PAGES,
  ...FLEX,
  ...planned(REAL, { of: 'quarter', suffix: '-quarter', title: ', 25 %', budget: 0.25 }),
  ...planned(REAL, { of: 'tenth', suffix: '-tenth', title: ', 10 %', budget: 0.1 }),
  ...planned(['dhsa', 'blocks', 'vertical-slash'], {
    of: 'tenth-near',
    suffix: '-tenth-near',
    title: ', 10 %, 32 newest',
    budget: 0.1,
    more: NEAR,
  }),
  ...fixed(410),
  ...fixed(819),
  ...planned(REAL, {
    of: 'quarter-sparse',
    suffix: '-quarter-sparse',
    title: ', 25 %, sparse question',
    budget: 0.25,
    more: SPARSE,
  }),
  ...planned(REAL, {
    of: 'tenth-sparse',
    suffix: '-tenth-sparse',
    title: ', 10 %, sparse question',
    budget: 0.1,
    more: SPARSE,
  }),
  ...decoded(1024, { suffix: '-1024', sinks: 32, names: ['tokens'] }),
  ...decoded(256, { suffix: '-256', sinks: 32 }),
  ...recent('window-256'),
  ...evicted('snapkv', '-half', 'half kept', { keep: 0.5 }),
  ...evicted('snapkv', '-quarter', 'a quarter kept', { keep: 0.25 }),
  ...evicted('compresskv', '-half', 'half kept', { keep: 0.5 }),
  ...evicted('compresskv', '-quarter', 'a quarter kept', { keep: 0.25 }),
  ...HEADS,
};

/** Those of `methods` that `only` (keys, or what they change; empty: all) names, the base always among them. */
export function chosen(only, methods = METHODS) {
  const wanted = only === '' ? [] : only.split(',');
  const kinds = [...new Set(Object.values(methods).map(({ of }) => of))];
  const unknown = wanted.filter((name) => !(name in methods) && !kinds.includes(name));
  if (unknown.length > 0)
    throw new Error(`--only ${unknown.join(', ')}: take of ${Object.keys(methods).join(', ')}, or ${kinds.join(', ')}`);
  return Object.entries(methods).filter(
    ([key, { of }]) => wanted.length === 0 || of === 'base' || wanted.includes(key) || wanted.includes(of),
  );
}
