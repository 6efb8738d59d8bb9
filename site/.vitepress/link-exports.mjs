// Names of public exports in code spans become links to the reference, so that guides stay plain Markdown: `SessionOptions`, and members such as
// `model.paint` or `session.prompt(question)`.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const KINDS = ['classes', 'interfaces', 'type-aliases', 'functions', 'variables'];
/** How guides call objects of these types. */
const OBJECTS = {
  Octavo: 'OctavoFace',
  model: 'OctavoModel',
  session: 'OctavoSession',
  document: 'OctavoDocument',
  library: 'OctavoLibrary',
};
/** Exports whose names mean something else in most sentences. */
const AMBIGUOUS = new Set(['octavo', 'nano']);

/** Pages of the reference by the exports' names; of a name that several entries export, that of the shortest path: of `octavo` itself. */
function pagesByName(reference) {
  const pages = new Map();
  if (!existsSync(reference)) return pages;
  const files = readdirSync(reference, { recursive: true }).map((file) => String(file).replaceAll('\\', '/'));
  const depth = (file) => file.split('/').length + (file.startsWith('octavo/') ? 0 : 10);
  for (const file of files.sort((a, b) => depth(a) - depth(b) || (a < b ? -1 : 1))) {
    const name = basename(file, '.md');
    if (KINDS.includes(basename(dirname(file))) && !AMBIGUOUS.has(name) && !pages.has(name)) pages.set(name, file);
  }
  return pages;
}

export function linkExports(md, reference) {
  const pages = pagesByName(reference);
  const members = new Map(
    Object.entries(OBJECTS).flatMap(([object, type]) => {
      const file = pages.get(type);
      if (file === undefined) return [];
      const headings = readFileSync(join(reference, file), 'utf8').matchAll(/^### (\w+)(?:\(\))?$/gm);
      return Array.from(headings, ([, name]) => [`${object}.${name}`, `${file}#${name.toLowerCase()}`]);
    }),
  );
  const pageOf = (code) => pages.get(code) ?? members.get(/^\w+\.\w+/.exec(code)?.[0] ?? '');
  const base = (process.env.DOCS_BASE ?? '/').replace(/\/$/, '');
  const plain = md.renderer.rules.code_inline;
  md.renderer.rules.code_inline = (tokens, index, options, env, self) => {
    const code = plain(tokens, index, options, env, self);
    const before = tokens.slice(0, index);
    const inLink =
      before.filter(({ type }) => type === 'link_open').length >
      before.filter(({ type }) => type === 'link_close').length;
    const page = inLink || env.relativePath?.startsWith('reference/') ? undefined : pageOf(tokens[index].content);
    return page === undefined ? code : `<a href="${base}/reference/${page.replace('.md', '.html')}">${code}</a>`;
  };
}
