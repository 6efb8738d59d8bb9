/** The code that vision models need besides their weights. Pages whose models read text only do not download it. */
import { streamingSha256 } from '../hash.ts';
import { EncodedImages, type EncodingModel } from './encoded-images.ts';
import { ModelImages } from './image-processor.ts';
import type { ImageProcessor } from './images.ts';

export async function createImageProcessor(model: EncodingModel): Promise<ImageProcessor> {
  return new ModelImages(model.vision, new EncodedImages(model), await streamingSha256());
}
