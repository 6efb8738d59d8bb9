// What the context evaluation compares: key -> a title, the part of the context that it changes, and the session's `context`.
// Settings are the library's defaults but where a title says otherwise; budgets are a quarter of the tokens before the query.

/** Budget, local window and instruction so small that the choice of keys itself is put to the test: by default the question sees everything. */
const TIGHT = { budget: 0.1, local: 32, instruction: 1 };
/** Of nano's 1,000 to 2,000 tokens; the papers' own budgets are longer than its documents. */
const DECODE = { budget: 256, sinks: 4, local: 64 };

export const METHODS = {
  dense: { title: 'dense', of: 'base', context: {} },
  kv8: { title: '8 bits', of: 'pages', context: { kvBits: 8 } },
  kv4: { title: '4 bits', of: 'pages', context: { kvBits: 4 } },
  kv2: { title: '2 bits', of: 'pages', context: { kvBits: 2 } },
  staircase: { title: 'staircase 8, 4, 2 bits', of: 'pages', context: { kvBits: 'staircase' } },
  'dhsa-learned': {
    title: 'DHSA, learned boundaries',
    of: 'prefill',
    context: { prefill: { method: 'dhsa', budget: 0.25, boundaries: 'learned' } },
  },
  'dhsa-similarity': {
    title: 'DHSA, boundaries by similarity',
    of: 'prefill',
    context: { prefill: { method: 'dhsa', budget: 0.25, boundaries: 'similarity' } },
  },
  blocks: { title: 'block top-k', of: 'prefill', context: { prefill: { method: 'blocks', budget: 0.25 } } },
  window: {
    title: 'sliding window with sinks',
    of: 'prefill',
    context: { prefill: { method: 'window', budget: 0.25 } },
  },
  'vertical-slash': {
    title: 'vertical-slash',
    of: 'prefill',
    context: { prefill: { method: 'vertical-slash', budget: 0.25 } },
  },
  flex: { title: 'FlexPrefill', of: 'prefill', context: { prefill: 'flex' } },
  'dhsa-learned-tight': {
    title: 'DHSA, learned; 10 %, sparse question',
    of: 'tight',
    context: { prefill: { method: 'dhsa', boundaries: 'learned', ...TIGHT } },
  },
  'dhsa-similarity-tight': {
    title: 'DHSA, similarity; 10 %, sparse question',
    of: 'tight',
    context: { prefill: { method: 'dhsa', boundaries: 'similarity', ...TIGHT } },
  },
  'blocks-tight': {
    title: 'block top-k; 10 %, sparse question',
    of: 'tight',
    context: { prefill: { method: 'blocks', ...TIGHT } },
  },
  'vertical-slash-tight': {
    title: 'vertical-slash; 10 %, sparse question',
    of: 'tight',
    context: { prefill: { method: 'vertical-slash', ...TIGHT } },
  },
  'window-tight': {
    title: 'sliding window; 10 %',
    of: 'tight',
    context: { prefill: { method: 'window', budget: 0.1, instruction: 1 } },
  },
  tokens: { title: 'TokenSelect, 256 tokens', of: 'decode', context: { decode: { method: 'tokens', ...DECODE } } },
  sentences: { title: 'SentenceKV, 256 tokens', of: 'decode', context: { decode: { method: 'sentences', ...DECODE } } },
  retrieve: { title: 'ReKV blocks, 256 tokens', of: 'decode', context: { decode: { method: 'retrieve', ...DECODE } } },
  'decode-window': {
    title: 'window of 256 at decode',
    of: 'decode',
    context: { decode: { method: 'window', budget: 256 } },
  },
  snapkv: { title: 'SnapKV, half kept', of: 'evict', context: { evict: { method: 'snapkv', keep: 0.5 } } },
  'snapkv-answer': {
    title: 'SnapKV, half kept for the answer',
    of: 'evict',
    context: { evict: { method: 'snapkv', keep: 0.5, scope: 'answer' } },
  },
  compresskv: { title: 'CompressKV, half kept', of: 'evict', context: { evict: { method: 'compresskv', keep: 0.5 } } },
  razor: { title: 'RazorAttention, half the heads', of: 'heads', context: { heads: { method: 'razor', keep: 0.5 } } },
  'mean-query': {
    title: 'Mean-query heads, half',
    of: 'heads',
    context: { heads: { method: 'mean-query', keep: 0.5 } },
  },
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
