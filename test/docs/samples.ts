/** The code samples of the Markdown files: every fenced block by its language, with its place. */
import { readdirSync, readFileSync } from 'node:fs';
import { fromMarkdown } from 'mdast-util-from-markdown';

export interface Sample {
  /** The Markdown file, from the root. */
  readonly file: string;
  /** The line of the file in which the code begins, from 1. */
  readonly line: number;
  readonly language: 'ts' | 'tsx';
  readonly code: string;
  /** Whether the block is marked `run`: it runs in Node with nano, and prints what its comments say. */
  readonly runs: boolean;
}

/** Languages of blocks that hold no code of Octavo's. TypeScript and HTML are checked; JavaScript is written as TypeScript. */
const OTHERS = new Set(['sh', 'json', 'text', 'nginx', 'python']);

/** Folders whose Markdown is no documentation of ours; installed packages may link to the repository itself. */
const LEFT_OUT = /^(node_modules|dist|build|fixtures|reference|\..*)$/;

function* filesIn(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (LEFT_OUT.test(entry.name)) continue;
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* filesIn(path);
    else if (entry.isFile()) yield path;
  }
}

/** Every Markdown file of the repository's documentation, from the root. */
export function pages(): readonly string[] {
  const roots = ['docs', 'bench', 'models', 'training', 'site', 'examples'];
  return ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...roots.flatMap((root) => [...filesIn(root)])]
    .filter((name) => name.endsWith('.md'))
    .sort();
}

interface Node {
  readonly type: string;
  readonly lang?: string | null;
  readonly meta?: string | null;
  readonly value?: string;
  readonly position?: { readonly start: { readonly line: number; readonly offset?: number } };
  readonly children?: readonly Node[];
}

function* codeOf(node: Node): Generator<Node> {
  if (node.type === 'code') yield node;
  for (const child of node.children ?? []) yield* codeOf(child);
}

/** The samples of one file. Throws for a block whose language says neither that it is checked nor that there is nothing to check. */
export function samplesOf(file: string, text = readFileSync(file, 'utf8')): readonly Sample[] {
  return Array.from(codeOf(fromMarkdown(text) as Node)).flatMap((node) => {
    const line = node.position!.start.line;
    const value = node.value ?? '';
    const fenced = /^[`~]/.test(text.slice(node.position!.start.offset));
    const place = `${file}:${line}`;
    if (!fenced) {
      if (/^\s*(import|const|let) .*;|\bawait \w+[.(]/m.test(value))
        throw new Error(`${place}: an indented block with code; fence it as ts, so that it is checked`);
      return [];
    }
    const { lang, meta } = node;
    const runs = (meta ?? '').split(' ').includes('run');
    if (lang === 'ts' || lang === 'tsx') return [{ file, line: line + 1, language: lang, code: value, runs }];
    if (lang === 'html')
      return scriptsOf(value).map((script) => ({
        file,
        language: 'ts' as const,
        runs: false,
        ...script,
        line: line + 1 + script.line,
      }));
    if (lang !== null && lang !== undefined && OTHERS.has(lang)) return [];
    throw new Error(
      `${place}: a block of language ${String(lang)}: write ts or tsx, so that it is checked, or one of ${[...OTHERS].join(', ')}`,
    );
  });
}

/** The scripts of an HTML sample that are modules. */
function scriptsOf(html: string): readonly { readonly code: string; readonly line: number }[] {
  return Array.from(html.matchAll(/<script type="module">\n?([\s\S]*?)<\/script>/g), (match) => ({
    code: match[1]!,
    line: html.slice(0, match.index + match[0].indexOf(match[1]!)).split('\n').length - 1,
  }));
}

/** What a runnable sample's comments say that it prints: those behind calls of `console.log`, in their order. */
export function printed({ code }: Sample): readonly string[] {
  return Array.from(code.matchAll(/console\.log\(.*\);? +\/\/ (.+)$/gm), ([, comment]) => comment!.trim());
}
