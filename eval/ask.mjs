// One question to a fresh session: whether the answer is exact, its ids, its times.

/** `settings`: of `createSession`. Milliseconds; `kept`: tokens in the context before the answer. */
export async function ask(model, settings, input, expected) {
  const session = await model.createSession({ temperature: 0, maxTokens: 32, ...settings });
  try {
    const stream = session.promptStreaming(input);
    let text = '';
    for await (const piece of stream) text += piece;
    const { ids, time, tokens } = await stream.finished;
    return { right: text.trim() === expected, ids, prefill: time.prefill, decode: time.decode, kept: tokens.prompt };
  } finally {
    session.destroy();
  }
}

/** Answers to many items, as they are recorded: `outcomes` a digit an item, `ids` by spaces and bars, sums of milliseconds. */
export async function askAll(model, settings, items) {
  const answers = [];
  for await (const { input, expected } of items) answers.push(await ask(model, settings, input, expected));
  const sum = (field) => answers.reduce((total, answer) => total + answer[field], 0);
  return {
    outcomes: answers.map(({ right }) => (right ? '1' : '0')).join(''),
    ids: answers.map(({ ids }) => ids.join(' ')).join('|'),
    prefill: Math.round(sum('prefill')),
    decode: Math.round(sum('decode')),
    kept: sum('kept'),
  };
}

/** Of two recordings of the same items: the share of equal answers, and of ids before the first that differs. */
export function equalIds(recorded, base) {
  const ours = recorded.ids.split('|');
  const theirs = base.ids.split('|').map((ids) => ids.split(' '));
  let answers = 0;
  let same = 0;
  let all = 0;
  for (const [i, ids] of theirs.entries()) {
    const mine = (ours[i] ?? '').split(' ');
    const until = ids.findIndex((id, at) => id !== mine[at]);
    answers += until === -1 && mine.length === ids.length ? 1 : 0;
    same += until === -1 ? ids.length : until;
    all += ids.length;
  }
  return { answers, of: theirs.length, ids: same, ofIds: all };
}
