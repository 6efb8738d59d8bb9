/** A small safetensors writer for tests; it writes what it is told, right or wrong. */
export interface SafetensorsTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
  readonly range?: readonly number[];
}

export function writeSafetensors(
  tensors: Readonly<Record<string, SafetensorsTensor>>,
  header?: string,
): Uint8Array<ArrayBuffer> {
  const table: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let at = 0;
  for (const [name, { dtype, shape, data, range }] of Object.entries(tensors)) {
    table[name] = { dtype, shape, data_offsets: range ?? [at, at + data.length] };
    at += data.length;
  }
  const text = new TextEncoder().encode((header ?? JSON.stringify(table)).padEnd(8));
  const file = new Uint8Array(8 + text.length + at);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  let to = 8 + text.length;
  for (const { data } of Object.values(tensors)) {
    file.set(data, to);
    to += data.length;
  }
  return file;
}
