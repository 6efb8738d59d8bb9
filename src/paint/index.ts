/** Painting pictures from words and editing them by instruction. */
export { Painter, type Interrupted } from './painter.ts';
export type { Sources } from './noise.ts';
export type { Picture } from './picture.ts';
export type { PaintProgress } from './progress.ts';
export { paintRequest, type PaintRequest } from './request.ts';
