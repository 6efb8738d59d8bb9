/** Which of a picture's tokens the language model reads. */
export {
  choiceName,
  keptCount,
  outliers,
  readSelection,
  type ReleaseOptions,
  type VisualChoice,
  type VisualMethod,
  type VisualSelection,
} from './options.ts';
export { selectTokens, type VisualTokens } from './select.ts';
export { pickOne } from './chance.ts';
export { patchesOf } from './patches.ts';
