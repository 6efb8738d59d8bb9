import { report } from '../../engine/report.ts';
import { Arguments, UsageError } from '../arguments.ts';
import type { Command } from '../command.ts';
import { visible, write, type CliContext } from '../terminal.ts';
import { keptFiles, keptLine, removeKept } from './kept.ts';
import { memoryAt4k, modelsPage, recommendedLines } from './page.ts';
import { RECOMMENDED } from './recommended.ts';
import { reportText } from './report-text.ts';

/** What can be loaded, what is kept on this machine, and what a file is. */
export const models: Command = {
  usage: 'models [FILE | list | remove NAME...] [--json]',
  summary: 'recommended models, those kept here, and what a file is',
  details: `  FILE             a path, a URL, hf:owner/repo/file.gguf, nano or nano-text: says from its header alone
                   what it is, how much memory it needs, and whether it runs here
  list             only the models that are kept on this machine
  remove NAME...   removes kept models: a name as list shows it, or the address it came from
  --all            with remove: every model
  --mmproj M       with FILE: its vision part
  --context N      with FILE: tokens of the context window
  --device D       with FILE: auto (default), wasm or webgpu
  --json           the same for programs
  --markdown       the recommended models as a page (docs/models.md)
`,
  async run(argv, context) {
    const kinds = { json: 'b', all: 'b', markdown: 'b', mmproj: 's', device: 's', context: 's' } as const;
    const args = new Arguments(argv, kinds);
    const [first, ...more] = args.rest;
    const json = args.flag('json');
    if (first !== 'remove') args.atMost(1);
    if (first !== 'remove' && args.flag('all')) throw new UsageError('--all belongs to octavo models remove');
    if (args.flag('markdown')) return write(context.output, modelsPage());
    if (first === undefined) return overview(context, json);
    if (first === 'list') return list(context, json);
    if (first === 'remove') {
      const all = args.flag('all');
      if (all === more.length > 0) throw new UsageError(all ? '--all takes no NAME' : 'NAME is missing');
      return removeKept(context, more, all);
    }
    const { platform, place, output } = context;
    const found = await report(platform, await place.input(first), args.loading());
    await write(output, json ? `${visible(JSON.stringify(found))}\n` : visible(reportText(found)));
  },
};

async function overview(context: CliContext, json: boolean): Promise<void> {
  const kept = await keptFiles(context);
  if (json) {
    const recommended = RECOMMENDED.map((model) => ({ ...model, memoryAt4k: memoryAt4k(model) }));
    return write(context.output, `${JSON.stringify({ recommended, kept })}\n`);
  }
  const lines = [
    'Recommended (~: rounded; docs/models.md says more)',
    ...recommendedLines(),
    '',
    'Kept on this machine',
  ];
  await write(context.output, `${lines.join('\n')}\n`);
  await list(context, false, '  ');
}

async function list(context: CliContext, json: boolean, indent = ''): Promise<void> {
  const files = await keptFiles(context);
  for (const file of files) await write(context.output, `${json ? JSON.stringify(file) : indent + keptLine(file)}\n`);
  if (files.length === 0 && !json)
    await write(
      context.output,
      `${indent}no model is kept; octavo pull MODEL, or loading one from an address, keeps it\n`,
    );
}
