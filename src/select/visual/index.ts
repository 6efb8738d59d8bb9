/** Which of an image's tokens the language model reads. */
export {
  choiceName,
  fixedTokens,
  keptCount,
  outliers,
  pinnedChoice,
  plannedCounts,
  readSelection,
  type ReleaseOptions,
  type VisualChoice,
  type VisualMethod,
  type VisualSelection,
} from './options.ts';
export { selectTokens, type Patches } from './select.ts';
export { pickOne } from './chance.ts';
export { patchesOf } from './patches.ts';
