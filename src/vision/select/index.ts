/** Which of a picture's tokens the language model reads. */
export {
  choiceName, keptCount, readSelection, SEVEN_EIGHTHS, type ReleaseOptions, type VisualChoice, type VisualMethod, type VisualSelection,
} from './options.ts';
export { selectTokens, type Patches, type VisualTokens } from './select.ts';
export { patchesOf } from './patches.ts';
