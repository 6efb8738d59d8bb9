// The order of the guides. A page of docs/ that is missing here stands at the end, under the name of its file.
import { readdirSync } from 'node:fs';

const GROUPS = [
  [
    'Start',
    {
      'getting-started': 'Getting started',
      models: 'Models',
      browsers: 'Where it runs',
      troubleshooting: 'Troubleshooting',
    },
  ],
  [
    'Tasks',
    {
      chat: 'Chat',
      see: 'See pictures',
      paint: 'Paint',
      edit: 'Edit pictures',
      embeddings: 'Embed and re-rank',
      documents: 'Long documents',
      'structured-output': 'Structured output',
      tools: 'Tools and thoughts',
      'long-context': 'Long contexts',
      'own-models': 'Your own models',
      memory: 'Memory and mobile',
      offline: 'Offline',
    },
  ],
  [
    'Environments and libraries',
    {
      node: 'Node and the command line',
      electron: 'Electron',
      'web-views': 'Web views',
      react: 'React',
      'ai-sdk': 'AI SDK',
      openai: 'OpenAI',
      'prompt-api': 'Prompt API',
      servers: 'Servers',
    },
  ],
  [
    'Coming from',
    {
      'migrate-wllama': 'wllama',
      'migrate-transformers-js': 'transformers.js',
      'migrate-web-llm': 'web-llm',
      'migrate-prompt-api': 'The Prompt API',
    },
  ],
  [
    'Design and measurements',
    {
      architecture: 'Architecture',
      'vision-models': 'Models that see',
      'visual-tokens': 'Visual tokens',
      'unipic-format': 'The UniPic format',
    },
  ],
];

const OTHERS = {
  'bench/README.md': 'Benchmarks',
  'models/nano/card.md': 'nano, the bundled model',
  'models/nano-text/card.md': 'nano-text, the bundled model for documents',
  'training/README.md': 'Training nano',
  'training/convert/README.md': 'Converting checkpoints',
  'CHANGELOG.md': 'Changelog',
  'CONTRIBUTING.md': 'Contributing',
};

export function guides(docs, others) {
  const pages = new Set(readdirSync(docs).filter((name) => name.endsWith('.md') && name !== 'README.md'));
  const groups = GROUPS.map(([text, entries]) => ({
    text,
    items: Object.entries(entries)
      .filter(([page]) => pages.delete(`${page}.md`))
      .map(([page, title]) => ({ text: title, link: `/docs/${page}` })),
  }));
  const left = [...pages].map((name) => ({
    text: name.replace(/\.md$/, ''),
    link: `/docs/${name.replace(/\.md$/, '')}`,
  }));
  if (left.length > 0) groups.push({ text: 'More', items: left });
  const more = others.map((file) => ({ text: OTHERS[file], link: `/${file.replace(/\.md$/, '')}` }));
  return [...groups, { text: 'The repository', collapsed: true, items: more }];
}
