/** Fetches, lists and removes models that are kept on this machine. */
import { openModel } from '../load/index.ts';
import { Arguments, UsageError } from './arguments.ts';
import type { Command } from './command.ts';
import { ProgressLine, size, visible, write, type CliContext } from './terminal.ts';
import { InputError, StorageError } from '../errors.ts';
import type { ModelStore, StoredFile } from '../store/model-store.ts';

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

export const list: Command = {
  usage: 'list [--json]',
  summary: 'models that are kept on this machine',
  details: '  --json   one line a file\n',
  async run(argv, context) {
    const args = new Arguments(argv, { json: 'b' });
    args.atMost(0);
    const files = (await (await storeOf(context)).list()).toSorted((a, b) => a.model.localeCompare(b.model));
    const lines = args.flag('json') ? files.map((file) => JSON.stringify(file)) : files.map(line);
    for (const text of lines) await write(context.output, `${text}\n`);
    if (files.length === 0 && !args.flag('json'))
      await write(context.output, 'no model is kept; octavo pull MODEL, or loading one from an address, keeps it\n');
  },
};

function line({ model, name, received, size: whole, complete, created }: StoredFile): string {
  const state = complete ? '' : `, ${whole === undefined ? 'incomplete' : `${Math.floor((100 * received) / whole)} %`}`;
  const file = model === name ? '' : `   ${name.replace(/^.*\//, '')}`;
  return `${visible(model)}${visible(file)}   ${size(received)}${state}   ${created.toISOString().slice(0, 10)}`;
}

export const rm: Command = {
  usage: 'rm MODEL...',
  summary: 'removes kept models',
  details: '  MODEL    as octavo list shows it, the address it came from, or --all\n  --all    every model\n',
  async run(argv, context) {
    const args = new Arguments(argv, { all: 'b' });
    const store = await storeOf(context);
    const all = args.flag('all');
    if (all === args.rest.length > 0) throw new UsageError(all ? '--all takes no MODEL' : 'MODEL is missing');
    const targets = all ? [...new Set((await store.list()).map(({ model }) => model))] : args.rest;
    for (const target of targets) {
      const count = await store.remove(target);
      if (count === 0)
        throw new InputError('argument', `'${target}' is not kept here; octavo list shows what is`, { target });
      await write(context.output, `${visible(target)}   ${count === 1 ? '1 file' : `${count} files`} removed\n`);
    }
  },
};
