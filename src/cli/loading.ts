/** Loading a model for a command, with its progress line. */
import type { OctavoModel } from '../face/model.ts';
import type { Arguments } from './arguments.ts';
import { ProgressLine, type CliContext } from './terminal.ts';

/** `fallback`: the model of a command that needs none to be named. */
export const modelHelp = (
  fallback?: string,
): string => `  --model M            a path, a URL, hf:owner/repo/file.gguf, nano or nano-text (bundled)${fallback === undefined ? '' : `; default ${fallback}`}
  --mmproj M           the vision part (mmproj) of a GGUF model: a path, a URL, or the name of a file beside it
  --device D           auto (default), wasm or webgpu
  --threads N          WASM threads
  --context N|PRESET   tokens of the context window; or how a conversation is kept: auto, exact, balanced or small
`;
export const SAMPLING_HELP = `  --temperature T      0 takes the likeliest token always
  --top-k, --top-p, --min-p, --repetition-penalty, --presence-penalty, --seed
  --max-tokens N       most tokens of the answer
`;

/** Runs `body` with the model that the arguments name, and destroys the model afterwards. */
export async function withModel(
  args: Arguments,
  { face, errors }: CliContext,
  fallback: string | undefined,
  body: (model: OctavoModel, progress: ProgressLine, loadTime: number) => Promise<void>,
): Promise<void> {
  const input = fallback === undefined ? args.required('model') : (args.text('model') ?? fallback);
  const progress = new ProgressLine(errors);
  const begun = performance.now();
  let model: OctavoModel | undefined;
  try {
    model = await face.load(input, { ...args.loading(), onProgress: progress.show });
    progress.clear();
    await body(model, progress, performance.now() - begun);
  } finally {
    progress.clear();
    await model?.destroy();
  }
}
