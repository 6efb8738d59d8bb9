import type { Scenes } from './scenes.mjs';

export const items: {
  readonly pictures: readonly ({ readonly rgb: string } & (
    | { readonly scene: string; readonly word?: undefined }
    | { readonly word: string }
  ))[];
  readonly paint: Readonly<Record<'one' | 'two' | 'three', readonly [prompt: string, scene: string][]>>;
};
export const scenes: Scenes;
