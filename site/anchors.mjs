// VitePress fails on links to pages that are not there; this fails on links to headings that are not there.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

export function checkAnchors(dist) {
  const pages = new Map();
  for (const name of readdirSync(dist, { recursive: true })) {
    const file = String(name).replaceAll('\\', '/');
    if (!file.endsWith('.html') || file === '404.html') continue;
    const html = readFileSync(join(dist, file), 'utf8');
    const content = /<main[\s\S]*<\/main>/.exec(html)?.[0] ?? html;
    pages.set(file, {
      ids: new Set(Array.from(html.matchAll(/\bid="([^"]+)"/g), ([, id]) => id)),
      links: Array.from(content.matchAll(/<a\b[^>]*?\bhref="([^"]+)"/g), ([, href]) => href.replaceAll('&amp;', '&')),
    });
  }
  const faults = [];
  for (const [file, { links }] of pages) {
    for (const link of links) {
      if (/^[a-z]+:/.test(link) || !link.includes('#')) continue;
      const [path, id] = link.split('#');
      const base = process.env.DOCS_BASE ?? '/';
      const absolute = path.startsWith(base) ? path.slice(base.length) : posix.join(dirname(file), path);
      const target =
        path === '' ? file : absolute === '' || absolute.endsWith('/') ? `${absolute}index.html` : absolute;
      if (!pages.get(target)?.ids.has(decodeURIComponent(id))) faults.push(`${file}: ${link}`);
    }
  }
  if (faults.length > 0)
    throw new Error(`Links to headings that are not there:\n  ${[...new Set(faults)].join('\n  ')}`);
}
