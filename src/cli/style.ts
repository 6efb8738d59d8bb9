/** Faint text on terminals that show it. */

/** Whether escape codes may be written to a stream: only to a terminal, and not where the user wants none (https://no-color.org). */
export function styled(
  stream: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>> = process.env,
): boolean {
  const { NO_COLOR = '', TERM } = environment;
  return stream.isTTY === true && NO_COLOR === '' && TERM !== 'dumb';
}

export const FAINT = '\x1b[2m';
export const PLAIN = '\x1b[0m';

export function faint(text: string, stream: { readonly isTTY?: boolean }): string {
  return styled(stream) ? `${FAINT}${text}${PLAIN}` : text;
}
