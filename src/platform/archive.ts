/** The engine's files in the page's own bundle (`octavo:archive`). */
import { archive } from 'octavo:archive';
import { unpack } from '../load/packed.ts';

export const unpackArchive = (): Promise<Map<string, Uint8Array<ArrayBuffer>>> => unpack(archive);
