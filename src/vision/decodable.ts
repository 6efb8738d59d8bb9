/** What a decoder is given in place of a file: with its orientation taken out, and with an end where a JPEG lacks only that. */
import { FORMATS, type ImageType } from './formats/index.ts';
import { ImageBytes } from './formats/bytes.ts';

export interface Decodable {
  /**
   * Decoders apply orientations in some formats and not in others, so the files say that they are upright, and the caller turns the pixels
   * (orientation.ts), once, everywhere.
   */
  readonly orientation: number;
  /** One file; several where it is whole only if all of them decode to the same pixels. */
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
