/** What users can set. */
import { NANO_TEXT } from '../../common/models/catalogue.ts';
import { amount, flag, oneOf, Settings, text } from '../../common/settings.ts';

export const settings = new Settings('document-qa', {
  language: oneOf('auto', 'en', 'de'),
  theme: oneOf('auto', 'light', 'dark'),
  /** The key of a `ModelChoice`. */
  model: text(NANO_TEXT),
  device: oneOf('auto', 'wasm', 'webgpu'),
  /** Tokens of a context; 0: what the model was made for. */
  context: amount(0, 0, 1_000_000),
  /** How what is read is kept: everything, or in less memory. */
  preset: oneOf('auto', 'exact', 'balanced', 'small'),
  mode: oneOf('auto', 'passages', 'whole', 'windows'),
  /** Tokens of passages that are read for an answer; 0: by the model's size. */
  budget: amount(0, 0, 16_000),
  /** The longest answer, in tokens. */
  answer: amount(160, 16, 4000),
  /** Whether what a model has read of a whole document is kept on the disk. */
  keep: flag(true),
  /** Languages of text in pictures, as tesseract names them, with + between them; empty: that of the page. */
  ocr: text(''),
  /** Search by meaning, with an embedding model. */
  meaning: flag(false),
  pauseHidden: flag(false),
  pauseBattery: flag(false),
  screenOn: flag(true),
  /** Shortcuts of a single letter. */
  letters: flag(true),
  /** The document that is open, by name; empty: all of them. */
  open: text(''),
  /** The share of the width that the page takes beside the conversation. */
  split: amount(0.5, 0.25, 0.75),
  zoom: amount(1, 0.5, 4),
});

/** The embedding model for search by meaning. */
export const EMBEDDER = {
  title: 'all-MiniLM-L6-v2',
  source: 'hf:sentence-transformers/all-MiniLM-L6-v2',
  bytes: 91_000_000,
};
