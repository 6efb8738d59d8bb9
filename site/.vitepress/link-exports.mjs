// Names of public exports in code spans become links to the reference, so that guides stay plain Markdown.
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';

const KINDS = ['classes', 'interfaces', 'type-aliases', 'functions', 'variables'];

/** Pages of the reference by the exports' names; a name that several entries export goes to the first, `octavo`. */
function pagesByName(reference) {
  const pages = new Map();
  if (!existsSync(reference)) return pages;
  const files = readdirSync(reference, { recursive: true }).map((file) => String(file).replaceAll('\\', '/'));
  for (const file of files.sort()) {
    if (!KINDS.includes(basename(dirname(file)))) continue;
    const name = basename(file, '.md');
    if (!pages.has(name)) pages.set(name, `/reference/${file.replace(/\.md$/, '')}`);
  }
  return pages;
}

export function linkExports(md, reference) {
  const pages = pagesByName(reference);
  const plain = md.renderer.rules.code_inline;
  md.renderer.rules.code_inline = (tokens, index, options, env, self) => {
    const code = plain(tokens, index, options, env, self);
    const page = pages.get(tokens[index].content);
    const inLink =
      tokens
        .slice(0, index)
        .reduce((depth, { type }) => depth + (type === 'link_open' ? 1 : type === 'link_close' ? -1 : 0), 0) > 0;
    if (page === undefined || inLink || env.relativePath?.startsWith('reference/')) return code;
    return `<a href="${process.env.DOCS_BASE?.replace(/\/$/, '') ?? ''}${page}.html">${code}</a>`;
  };
}
