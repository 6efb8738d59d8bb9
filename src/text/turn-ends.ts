/** Tokens that end a turn in some model, whatever its metadata says. */
export const ENDS: ReadonlySet<string> = new Set([
  '<|eot_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<|flush|>',
  '<|calls|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '</s>',
  '<|eom_id|>',
  '<EOT>',
  '_<EOT>',
  '[EOT]',
  '[EOS]',
  '<|end_of_text|>',
  '<end_of_utterance>',
  '<eos>',
  '<turn|>',
  '<|tool_response>',
  '<｜end▁of▁sentence｜>',
  '[e~[',
]);

/** `known` first, then the tokens that end a turn by their name. */
export function turnEnds(known: readonly number[], ids: ReadonlyMap<string, number>): number[] {
  const ends = new Set(known);
  for (const name of ENDS) {
    const end = ids.get(name);
    if (end !== undefined) ends.add(end);
  }
  // Harmony's <|end|> ends a message, not the turn; Gemma 4's </s> is an ordinary token.
  const drop = (name: string, ...others: string[]): void => {
    const end = ids.get(name);
    if (end !== undefined && others.every((other) => ids.has(other))) ends.delete(end);
  };
  drop('<|end|>', '<|return|>', '<|call|>');
  drop('<|end|>', '<|calls|>', '<|flush|>');
  drop('</s>', '<|tool_response>');
  return [...ends];
}
