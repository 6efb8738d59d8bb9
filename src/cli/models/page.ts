/** The recommended models as rows, for the terminal and as docs/models.md. */
import { contextFormat, tokenBytes } from '../../engine/loaded.ts';
import { architectures } from '../../models/registry.ts';
import { size } from '../terminal.ts';
import { PURPOSES, RECOMMENDED, type Recommended, type Tested } from './recommended.ts';

const USUAL_CONTEXT = 4096;

/** Bytes of weights and of a context of 4,096 tokens, or of the whole window where that is shorter, on WASM. */
export function memoryAt4k({ bytes, window, context }: Recommended): number {
  if (context === undefined) return bytes;
  const [cacheLayers, kvHeads, headDim] = context;
  const shape = { cacheLayers, kvHeads, headDim };
  return bytes + Math.min(window, USUAL_CONTEXT) * tokenBytes(shape, contextFormat('wasm', shape, window));
}

const TESTED: Readonly<Record<Tested, string>> = {
  weights: 'its weights',
  parity: 'its architecture',
  shape: 'its shape',
};

const about = ({ approximate }: Recommended): string => (approximate === true ? '~' : '');

/** Lines for the terminal, by purpose. */
export function recommendedLines(): string[] {
  const lines: string[] = [];
  for (const purpose of PURPOSES) {
    lines.push('', `${purpose}:`);
    for (const one of RECOMMENDED.filter((model) => model.purpose === purpose)) {
      const facts = [
        `${about(one)}${size(one.bytes)}`,
        `${about(one)}${size(memoryAt4k(one))} of memory at 4k`,
        `window ${one.window.toLocaleString('en')}`,
        one.licence,
        `tested by ${TESTED[one.tested]}`,
      ];
      lines.push(`  ${one.input}`, `      ${one.good}`, `      ${facts.join(', ')}`);
    }
  }
  return lines.slice(1);
}

const HEADS: Readonly<Record<(typeof PURPOSES)[number], string>> = {
  chat: 'Conversation',
  documents: 'Documents (those for conversations answer about them, too)',
  see: 'Pictures',
  embed: 'Embedding',
  rerank: 'Re-ranking',
  paint: 'Painting',
};

/** docs/models.md. `octavo models --markdown` prints it; a test compares the two. */
export function modelsPage(): string {
  const parts = [
    `# Models

This page is made by \`octavo models --markdown\` from \`src/cli/models/recommended.ts\`.

Octavo loads GGUF files, with their vision part (mmproj) if there is one, and Hugging Face folders. \`octavo models FILE\` and \`Octavo.inspect(source)\` read the header of any file, of a server's too, and say what it is, how much memory it needs and whether it runs here; nothing else is downloaded. \`Octavo.availability(source)\` is the same question with the words of the Prompt API.

## Recommended files

*Memory* is that of the weights and of a context of 4,096 tokens on WASM; on WebGPU long contexts are kept in half of it. *Tested* says how: by **weights** (this file, against PyTorch), by **parity** (its architecture, on small random weights, against PyTorch), or by **shape** (only its sizes, with random weights). A size with ~ is rounded and comes from the publisher's page. A row marked † was not loaded here: its size, window and shape are the publisher's.`,
  ];
  for (const purpose of PURPOSES) {
    const rows = RECOMMENDED.filter((model) => model.purpose === purpose).map(
      (one) =>
        `| ${one.title}${one.loaded ? '' : ' †'} | \`${one.input}\` | ${about(one)}${size(one.bytes)} | ${one.quantization} | ${one.window.toLocaleString('en')} | ${about(one)}${size(memoryAt4k(one))} | ${one.good}${one.note === undefined ? '' : ` (${one.note})`} | ${one.licence} | ${one.tested} |`,
    );
    parts.push(
      `### ${HEADS[purpose]}`,
      [
        '| model | source | size | format | window | memory | good for | licence | tested |',
        '|---|---|---|---|---|---|---|---|---|',
        ...rows,
      ].join('\n'),
    );
  }
  const list = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');
  const gguf = architectures('gguf');
  const folders = architectures('huggingface');
  parts.push(
    `The licences are the publishers'; read them before you ship a model with an app. Gemma and Llama have terms of use of their own.`,
    `## Architectures

| | in GGUF (\`general.architecture\`) | in Hugging Face folders (\`model_type\`) |
|---|---|---|
| generate text | ${list(gguf.generate)} | ${list(folders.generate)} |
| embed and rank whole texts | ${list(gguf.encode)} | ${list(folders.encode)} |

Models of the first row embed, too, and some of them rank. What sees pictures is listed in [vision-models.md](vision-models.md), what paints in [unipic-format.md](unipic-format.md).

A file of another architecture is refused before its weights are read, by an error that names the nearest supported one. Not supported, and why:

- Mixtures of experts (\`qwen3moe\`, \`mixtral\`, \`gpt-oss\`, \`lfm2moe\`): their weights are larger than what fits into a browser.
- \`gemma\`, \`gemma2\`, \`gemma3n\`, \`phi2\`, \`stablelm\` and other older generations: take the newer one.
- Mamba and RWKV hybrids (\`granitehybrid\`, \`falcon-h1\`, \`jamba\`), and encoder-decoders (\`t5\`): they need other kinds of layers.`,
  );
  return `${parts.join('\n\n')}\n`;
}
