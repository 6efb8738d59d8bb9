// The API reference as Markdown in site/reference/, from the published types and their docstrings. What is not documented, not exported or linked
// to nothing is an error.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Application, Comment, Converter, ReflectionKind } from 'typedoc';
import { entries, root } from './entries.mjs';

const out = join(root, 'site/reference');

/** The first docstring of an entry's source, which says what the entry is for. */
function introduction(types) {
  const source = readFileSync(join(root, types.replace('./dist/types/', '').replace('.d.ts', '.ts')), 'utf8');
  const [, text] = /\/\*\*([\s\S]*?)\*\//.exec(source) ?? [];
  if (text === undefined) throw new Error(`${types}: its source begins without a docstring`);
  return text.replace(/^\s*\*? ?/gm, '').trim();
}

export async function writeReference() {
  rmSync(out, { recursive: true, force: true });
  const byFile = new Map(entries.map((entry) => [join(root, entry.types), entry]));
  const app = await Application.bootstrapWithPlugins({
    tsconfig: join(root, 'site/tsconfig.json'),
    entryPoints: [...byFile.keys()],
    plugin: ['typedoc-plugin-markdown', 'typedoc-vitepress-theme'],
    name: 'API reference',
    readme: 'none',
    out,
    docsRoot: root,
    disableGit: true,
    disableSources: true,
    excludePrivate: true,
    excludeInternal: true,
    excludeExternals: true,
    githubPages: false,
    sort: ['kind', 'alphabetical'],
    groupOrder: ['Variables', 'Functions', 'Classes', 'Interfaces', 'Properties', 'Accessors', 'Methods', '*'],
    treatWarningsAsErrors: true,
    treatValidationWarningsAsErrors: true,
    validation: { notExported: true, invalidLink: true, invalidPath: true, rewrittenLink: true, notDocumented: true },
    // Electron's own.
    intentionallyNotExported: [
      'electron/electron.d.ts:AppModule',
      'electron/electron.d.ts:Child',
      'electron/electron.d.ts:Contents',
      'electron/electron.d.ts:ForkOptions',
      'electron/electron.d.ts:IpcMainModule',
      'electron/electron.d.ts:MessageChannelClass',
      'electron/electron.d.ts:PowerMonitorModule',
      'electron/electron.d.ts:Privileges',
      'electron/electron.d.ts:ProtocolModule',
      'electron/electron.d.ts:WindowSession',
    ],
    requiredToBeDocumented: [
      'Variable',
      'Function',
      'Class',
      'Interface',
      'Property',
      'Method',
      'Accessor',
      'TypeAlias',
    ],
    // Markdown
    entryFileName: 'index',
    modulesFileName: 'index',
    mergeReadme: true,
    hidePageHeader: true,
    hideGroupHeadings: false,
    useCodeBlocks: true,
    expandObjects: true,
    parametersFormat: 'table',
    interfacePropertiesFormat: 'table',
    typeAliasPropertiesFormat: 'table',
    typeDeclarationFormat: 'table',
    indexFormat: 'table',
    tableColumnSettings: { hideInherited: true, hideOverrides: true, hideModifiers: true, hideSources: true },
    sidebar: { autoConfiguration: true, format: 'vitepress', pretty: false, collapsed: true },
  });
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
    for (const module of context.project.getReflectionsByKind(ReflectionKind.Module)) {
      const file = context.project.getSymbolIdFromReflection(module)?.fileName ?? module.sources?.[0]?.fullFileName;
      const entry = byFile.get(file);
      if (entry === undefined) throw new Error(`No entry for the module ${module.name} (${file})`);
      module.name = entry.specifier;
      module.comment = new Comment([{ kind: 'text', text: introduction(entry.types) }]);
    }
  });
  const project = await app.convert();
  if (project === undefined) throw new Error('The published types could not be read');
  app.validate(project);
  if (app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error('The reference has faults (above)');
  await app.generateOutputs(project);
  for (const name of readdirSync(out, { recursive: true })) {
    const file = join(out, String(name));
    if (file.endsWith('.md')) writeFileSync(file, simplified(readFileSync(file, 'utf8')));
  }
}

/** A page without what says nothing: headings of accessors with one signature, their types where the code shows them, and bases that are not exported. */
function simplified(page) {
  return page
    .replace(/#### Get Signature\n\n(```ts\n[\s\S]*?```\n[\s\S]*?)##### Returns\n\n(.*)\n/g, (_, text, type) =>
      type.includes('](') ? `${text}Type: ${type}\n` : text,
    )
    .replace(/^- (?:`[\w.]+`|`Omit`.*|`Pick`.*)\n/gm, (line) => (line.includes('](') ? line : ''))
    .replace(/^## (?:Extends|Extended by|Implements)\n\n(?=\n*(?:##|$))/gm, '');
}
