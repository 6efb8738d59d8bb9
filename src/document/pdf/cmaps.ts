/** Adobe's character maps, which PDFs in Chinese, Japanese and Korean may name instead of bringing their own: a megabyte, fetched when one is named. */
import { unpack } from '../../load/packed.ts';

let unpacked: Promise<Map<string, Uint8Array>> | undefined;

/** As pdf.js asks for them (`CMapReaderFactory`). */
export class CompressedCMaps {
  async fetch({ name }: { readonly name: string }): Promise<{ cMapData: Uint8Array; isCompressed: boolean }> {
    unpacked ??= import('octavo:character-maps').then(({ archive }) => unpack(archive));
    const found = (await unpacked).get(name);
    if (found === undefined) throw new Error(`there is no character map ${name.slice(0, 80)}`);
    return { cMapData: found, isCompressed: true };
  }
}
