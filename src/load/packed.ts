/**
 * Files packed into one script, for bundles that carry the SDK's code but not the files beside it.
 *
 *     base64 of gzip of:  u32 length of the index (little-endian) | index: JSON { name: [offset, length] } | bytes
 */
export async function unpack(archive: string): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const packed = Uint8Array.from(atob(archive), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const start = 4 + new DataView(bytes.buffer).getUint32(0, true);
  const index = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start))) as Record<string, [number, number]>;
  return new Map(
    Object.entries(index).map(([name, [offset, length]]) => [
      name,
      bytes.slice(start + offset, start + offset + length),
    ]),
  );
}
