/** Prepares a file for a decoder: neutralises its orientation, and completes a JPEG that lacks only its end marker. */
import { FORMATS, type ImageType } from './formats/index.ts';
import { ImageBytes } from './formats/bytes.ts';

export interface Decodable {
  /**
   * Decoders apply orientations in some formats and not in others. Therefore the files that they receive declare
   * themselves upright, and the caller rotates the pixels once, in the same way everywhere (orientation.ts).
   */
  readonly orientation: number;
  /** Usually one file. If there are several, the image is complete only if all of them decode to the same pixels. */
  readonly files: readonly Uint8Array[];
}

/** Precondition: `readHeader` has accepted the file. */
export function decodable(bytes: Uint8Array, type: ImageType, name: string): Decodable {
  const { orientation, endings } = FORMATS[type];
  const found = orientation?.(new ImageBytes(name, bytes));
  const neutral = found?.neutral ?? bytes;
  return {
    orientation: found?.value ?? 1,
    files: endings?.(new ImageBytes(name, neutral)) ?? [neutral],
  };
}
