/** Models that are kept on this machine: fetching, listing and removing them. */
import { openModel } from '../../load/index.ts';
import { Arguments, UsageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { ProgressLine, size, visible, write, type CliContext } from '../terminal.ts';
import { InputError, StorageError } from '../../errors.ts';
import type { ModelStore, StoredFile } from '../../store/model-store.ts';

async function storeOf({ place }: CliContext): Promise<ModelStore> {
  const store = await place.store();
  if (store === undefined) throw new StorageError('unavailable', 'no models can be kept here');
  return store;
}

export const pull: Command = {
  usage: 'pull MODEL [--header "Name: value"]',
  summary: 'downloads a model and keeps it',
  details: `  MODEL            a URL, hf:owner/repo/file.gguf, or hf:owner/repo
  --header H       sent with every request, for instance "Authorization: Bearer ..."
  --sha256 HASH    what the file must hash to
`,
  async run(argv, context) {
    const args = new Arguments(argv, { header: 's', sha256: 's' });
    args.atMost(1);
    const [model] = args.rest;
    if (model === undefined) throw new UsageError('MODEL is missing');
    if (!/^(https?|hf):/i.test(model))
      throw new InputError('argument', `'${model}' is not a URL; a local file needs no pull`);
    const store = await storeOf(context);
    const [, name, value] = /^([^:]+):\s*(.*)$/.exec(args.text('header') ?? '') ?? [];
    const sha256 = args.text('sha256');
    const progress = new ProgressLine(context.errors);
    try {
      const file = await openModel(model, {
        ...context.platform.open,
        store,
        monitor: progress.show,
        ...(name === undefined ? {} : { headers: { [name]: value ?? '' } }),
        ...(sha256 === undefined ? {} : { sha256 }),
      });
      progress.clear();
      await write(context.output, `${visible(file.name)}   ${size(file.bytes)}\n`);
      await file.close();
    } finally {
      progress.clear();
    }
  },
};

/** Files that are kept here, by their models' names. */
export async function keptFiles(context: CliContext): Promise<StoredFile[]> {
  return (await (await storeOf(context)).list()).toSorted((a, b) => a.model.localeCompare(b.model));
}

/** "hf:owner/repo   file.gguf   1.2 MB, 40 %   2026-01-01" */
export function keptLine({ model, name, received, size: whole, complete, created }: StoredFile): string {
  const state = complete ? '' : `, ${whole === undefined ? 'incomplete' : `${Math.floor((100 * received) / whole)} %`}`;
  const file = model === name ? '' : `   ${name.replace(/^.*\//, '')}`;
  return `${visible(model)}${visible(file)}   ${size(received)}${state}   ${created.toISOString().slice(0, 10)}`;
}

/** Removes models by their names or addresses; `all`: every one. Throws `InputError` for one that is not kept. */
export async function removeKept(context: CliContext, names: readonly string[], all: boolean): Promise<void> {
  const store = await storeOf(context);
  const targets = all ? [...new Set((await store.list()).map(({ model }) => model))] : names;
  for (const target of targets) {
    const count = await store.remove(target);
    if (count === 0)
      throw new InputError('argument', `'${target}' is not kept here; octavo models list shows what is`, { target });
    await write(context.output, `${visible(target)}   ${count === 1 ? '1 file' : `${count} files`} removed\n`);
  }
}
