/** { file: text } */
export function drawContext(record: unknown): Readonly<Record<string, string>>;
export function drawVisual(record: unknown): Readonly<Record<string, string>>;
export function drawAll(docs?: string): string[];
