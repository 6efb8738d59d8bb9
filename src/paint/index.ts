/** Painting pictures from words and editing them by instruction. */
export type { PaintCheckpoint } from './checkpoint.ts';
export { Painter } from './painter.ts';
export type { Sources } from './noise.ts';
export type { Picture } from './picture.ts';
export type { PaintProgress } from './progress.ts';
export { unfinished } from './unfinished.ts';
export { paintRequest, type PaintRequest } from './request.ts';
