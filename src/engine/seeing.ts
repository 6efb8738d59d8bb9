/** What models with picture parts take beside them. Pages whose models have none do not download it. */
export { paintRequest } from './painting.ts';
export { embedText, ModelSight, VisualCache } from '../see/image-processor.ts';
