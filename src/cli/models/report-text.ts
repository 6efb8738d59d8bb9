/** A report on a model file for people. */
import type { ModelReport } from '../../worker/api.ts';
import { size } from '../terminal.ts';

const CAN = ['chat', 'generate', 'see', 'paint', 'edit', 'embed', 'rerank'] as const;

export function reportText(report: ModelReport): string {
  const { name, architecture, parameters, quantization, bytes, license, contextWindow, capabilities, memory } = report;
  const rows: [string, string][] = [
    ['architecture', `${architecture === '' ? 'not named' : architecture} (${report.format})`],
    ['parameters', `${count(parameters)}, ${quantization}, ${size(bytes)}`],
  ];
  if (license !== undefined) rows.push(['licence', license]);
  if (contextWindow !== undefined) rows.push(['window', `${contextWindow.toLocaleString('en')} tokens`]);
  if (capabilities !== undefined) {
    const can = CAN.filter((one) => capabilities[one]);
    rows.push(['can', can.join(', ')], ...capabilities.missing.map((sentence): [string, string] => ['', sentence]));
  }
  if (memory !== undefined) {
    const { weights, at4k, full, available, room } = memory;
    rows.push(
      ['memory', `${size(weights)} of weights; ${size(at4k)} with 4k tokens; ${size(full)} with the whole window`],
      [
        '',
        Number.isFinite(available)
          ? `${size(available)} here: room for ${room.toLocaleString('en')} tokens`
          : 'how much there is here is not known',
      ],
    );
  }
  rows.push(['runs here', report.runs ? `yes, on ${report.device}` : `no: ${report.problem?.message ?? ''}`]);
  return `${name}\n${rows.map(([left, right]) => `  ${left.padEnd(14)}${right}\n`).join('')}`;
}

function count(parameters: number): string {
  return parameters >= 1e9 ? `${(parameters / 1e9).toFixed(2)} billion` : `${(parameters / 1e6).toFixed(1)} million`;
}
