// The site's pages are the repository's own Markdown files, at the paths that they have here, so that their relative links work in both places.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitepress';
import { root } from '../entries.mjs';
import { guides } from './guides.mjs';
import { linkExports } from './link-exports.mjs';

const { version, description } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Other pages of the repository that guides point to. */
const others = [
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  'models/nano/card.md',
  'models/nano-text/card.md',
  'training/README.md',
  'training/convert/README.md',
];
/** VitePress takes every Markdown file below its source folder that is not left out. */
const folders = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !['docs', 'site', 'bench', 'models', 'training'].includes(entry.name))
  .map(({ name }) => `${name}/**`);

const reference = join(root, 'site/reference/typedoc-sidebar.json');
const referenceSidebar = existsSync(reference) ? JSON.parse(readFileSync(reference, 'utf8')) : [];

/** The entries of the reference one below the other, by the names that are imported: typedoc puts `octavo/react` into `octavo`. */
function entriesOf(items, parent = '') {
  return items.flatMap(({ text, link, items: within = [] }) => {
    const name = parent === '' ? text : `${parent}/${text}`;
    const own = within.filter((item) => item.link === undefined).map(moved);
    return [
      { text: name, link: moved({ link }).link, collapsed: name !== 'octavo', items: own },
      ...entriesOf(
        within.filter((item) => item.link !== undefined),
        name,
      ),
    ];
  });
}

/** Pages of the reference lie in site/ and are shown without it. */
function moved({ link, items, ...rest }) {
  return {
    ...rest,
    ...(link === undefined ? {} : { link: link.replace('/site/', '/') }),
    ...(items === undefined ? {} : { items: items.map(moved) }),
  };
}

/** Pages lie outside of this package, where Vue cannot be found; what renders them lies inside. */
const vueOfThisPackage = {
  name: 'vue-of-this-package',
  enforce: 'pre',
  resolveId: (source, _importer, { ssr }) =>
    ssr && /^vue(\/server-renderer)?$/.test(source) ? { id: source, external: true } : null,
};

export default defineConfig({
  title: 'Octavo',
  description,
  lang: 'en',
  base: process.env.DOCS_BASE ?? '/',
  srcDir: '..',
  outDir: 'dist',
  cacheDir: 'node_modules/.vitepress',
  srcExclude: [
    ...folders,
    'README.md',
    'bench/node_modules/**',
    'bench/files/**',
    'bench/out/**',
    'training/nano/**',
    'site/node_modules/**',
    'site/dist/**',
  ],
  rewrites: {
    'site/home.md': 'index.md',
    'docs/README.md': 'docs/index.md',
    'site/reference/:rest*': 'reference/:rest*',
  },
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: `${process.env.DOCS_BASE ?? '/'}icon.svg` }]],
  vite: {
    publicDir: join(root, 'site/public'),
    build: { chunkSizeWarningLimit: 4000 },
    plugins: [vueOfThisPackage],
  },
  markdown: {
    config: (md) => {
      linkExports(md, join(root, 'site/reference'));
      // Indented blocks hold commands; VitePress styles fenced ones only.
      md.renderer.rules.code_block = (tokens, index, options, env, self) => {
        tokens[index].info = 'sh';
        return self.rules.fence(tokens, index, options, env, self);
      };
    },
  },
  // Tables of calls need the width of the outline.
  transformPageData: (page) => {
    if (/^docs\/(migrate-|browsers)/.test(page.relativePath)) page.frontmatter.aside = false;
  },
  themeConfig: {
    siteTitle: 'Octavo',
    logo: '/icon.svg',
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Guides', link: '/docs/getting-started', activeMatch: '^/docs/' },
      { text: 'Reference', link: '/reference/', activeMatch: '^/reference/' },
      {
        text: version,
        items: [
          { text: 'Changelog', link: '/CHANGELOG' },
          { text: 'Contributing', link: '/CONTRIBUTING' },
        ],
      },
    ],
    sidebar: {
      '/reference/': [{ text: 'API reference', link: '/reference/', items: entriesOf(referenceSidebar) }],
      '/': guides(join(root, 'docs'), others),
    },
    footer: { message: 'Apache-2.0' },
  },
});
