// What `npm run eval -- long` compares: key -> a title, what it changes, and the session's `context`. Budgets are shares of the tokens before a query, or tokens.
// "Sparse question": the last queries of the prompt choose their keys like all others, and only 32 keys before a query are always seen.

const SPARSE = { local: 32, instruction: 1 };
const prefill = (method, budget, more = {}) => ({ prefill: { method, budget, ...more } });
const NAMES = { dhsa: 'DHSA', blocks: 'block top-k', 'vertical-slash': 'vertical-slash', window: 'sliding window' };

/** The methods of prefill at one budget. */
const planned = (of, budget, title, more) =>
  Object.fromEntries(
    Object.entries(NAMES).map(([method, name]) => [
      `${method}-${of}`,
      {
        title: `${name}, ${title}`,
        of,
        context: prefill(method, budget, method === 'window' && more.local !== undefined ? { instruction: 1 } : more),
      },
    ]),
  );

const decode = (method, budget) => ({ decode: { method, budget, sinks: 32, local: 64 } });

/** @type {Record<string, { title: string; of: string; context: import('../src/public.ts').ContextOptions }>} */
export const LONG_METHODS = {
  dense: { title: 'dense', of: 'base', context: {} },
  kv8: { title: '8 bits', of: 'pages', context: { kvBits: 8 } },
  kv4: { title: '4 bits', of: 'pages', context: { kvBits: 4 } },
  kv2: { title: '2 bits', of: 'pages', context: { kvBits: 2 } },
  staircase: { title: 'staircase 8, 4, 2 bits', of: 'pages', context: { kvBits: 'staircase' } },
  flex: { title: 'FlexPrefill', of: 'quarter', context: { prefill: 'flex' } },
  ...planned('quarter', 0.25, '25 %', {}),
  ...planned('tenth', 0.1, '10 %', {}),
  ...planned('quarter-sparse', 0.25, '25 %, sparse question', SPARSE),
  ...planned('tenth-sparse', 0.1, '10 %, sparse question', SPARSE),
  'tokens-1024': { title: 'TokenSelect, 1,024 tokens', of: 'decode', context: decode('tokens', 1024) },
  'tokens-256': { title: 'TokenSelect, 256 tokens', of: 'decode', context: decode('tokens', 256) },
  'sentences-256': { title: 'SentenceKV, 256 tokens', of: 'decode', context: decode('sentences', 256) },
  'retrieve-256': { title: 'ReKV blocks, 256 tokens', of: 'decode', context: decode('retrieve', 256) },
  'window-256': {
    title: 'window of 256 at decode',
    of: 'decode',
    context: { decode: { method: 'window', budget: 256 } },
  },
  'snapkv-half': { title: 'SnapKV, half kept', of: 'evict', context: { evict: { method: 'snapkv', keep: 0.5 } } },
  'snapkv-quarter': {
    title: 'SnapKV, a quarter kept',
    of: 'evict',
    context: { evict: { method: 'snapkv', keep: 0.25 } },
  },
  'compresskv-half': {
    title: 'CompressKV, half kept',
    of: 'evict',
    context: { evict: { method: 'compresskv', keep: 0.5 } },
  },
  'compresskv-quarter': {
    title: 'CompressKV, a quarter kept',
    of: 'evict',
    context: { evict: { method: 'compresskv', keep: 0.25 } },
  },
};
