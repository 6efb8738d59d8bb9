/** Between a session as it runs and as it is saved. What is saved depends on content alone: an image is a number in text, and its pixels are kept once. */
import { StorageError } from '../errors.ts';
import type { RecordFacts, SavedContent, SavedImage, SavedTurn } from './record.ts';
import type { Role, Turn } from '../chat/messages.ts';
import type { PlacedSpan } from '../chat/prompt.ts';
import type { SessionState } from '../generate/session-state.ts';
import {
  imagesOf,
  MessageText,
  spanTokens,
  type Content,
  type ImageProcessor,
  type PromptImage,
} from '../see/images.ts';

/** A state's part of a record. */
export type StateFacts = Pick<
  RecordFacts,
  'window' | 'settings' | 'images' | 'spans' | 'content' | 'initial' | 'turns'
>;

/** `pixels`: of all images, one after the other. */
export function packState({ window, settings, initial, turns, transcript }: SessionState): {
  readonly facts: StateFacts;
  readonly pixels: Uint8Array;
} {
  const images = [
    ...new Map(
      [
        ...[...initial, ...turns].flatMap((turn) => imagesOf(turn.content)),
        ...transcript.spans.map(({ image }) => image),
      ].map((image) => [image.contentKey, image]),
    ).values(),
  ];
  const number = new Map(images.map(({ contentKey }, index) => [contentKey, index]));
  const numberOf = ({ contentKey }: PromptImage): number => number.get(contentKey) ?? 0;
  const content = (parts: Content): SavedContent =>
    parts.map((part) => {
      if (part instanceof MessageText) return { text: part.text };
      return typeof part === 'string' ? part : numberOf(part);
    });
  const saved = ({ content: parts, ...turn }: Turn): SavedTurn => ({ ...turn, content: content(parts) });
  const shown = images.map(({ prepared }) => prepared.image.data);
  const pixels = new Uint8Array(shown.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const data of shown) {
    pixels.set(data, at);
    at += data.length;
  }
  return {
    facts: {
      window,
      settings: JSON.parse(JSON.stringify(settings)) as Readonly<Record<string, unknown>>,
      images: images.map((image): SavedImage => {
        const { prepared, selection } = image;
        const { width, height } = prepared.image;
        return {
          width,
          height,
          size: prepared.settings.size,
          route: prepared.settings.route,
          unique: prepared.settings.unique,
          counts: spanTokens(image),
          kept: selection?.kept && [...selection.kept],
          question: selection?.question,
        };
      }),
      spans: transcript.spans.map(({ at: place, image, span }) => ({ at: place, image: numberOf(image), span })),
      content: transcript.content === undefined ? null : content(transcript.content),
      initial: initial.map(saved),
      turns: turns.map(saved),
    },
    pixels,
  };
}

/** The state again. Throws `StorageError('changed')` where the images would not be read as they were. */
export function unpackState(
  facts: StateFacts,
  ids: Int32Array,
  pixels: Uint8Array,
  processor: Pick<ImageProcessor, 'register'>,
): SessionState {
  const settings = facts.settings as SessionState['settings'];
  const { visual = 'all' } = settings.context ?? {};
  let end = 0;
  const images = facts.images.map((saved, index): PromptImage => {
    const { width, height, size, route, unique, counts, kept, question } = saved;
    const start = end;
    end += 4 * width * height;
    const image = processor.register(
      { data: new Uint8ClampedArray(pixels.slice(start, end)), width, height },
      `saved image ${index}`,
      { size, ...(route === undefined ? {} : { route }), ...(unique && { unique }) },
      visual === 'all' ? undefined : { choice: visual, question, counts, kept: kept && Int32Array.from(kept) },
    );
    const now = spanTokens(image);
    if (now.length !== counts.length || now.some((count, span) => count !== counts[span])) {
      throw new StorageError(
        'changed',
        `saved image ${index} took ${counts.join(' + ')} tokens of the context and would take ${now.join(' + ')} now; remove the session (Octavo.sessions.remove) and show the image again`,
        { tokens: counts, now },
      );
    }
    return image;
  });
  const content = (saved: SavedContent): Content =>
    saved.flatMap((part): Content => {
      if (typeof part === 'number') {
        const image = images[part];
        return image === undefined ? [] : [image];
      }
      return [typeof part === 'string' ? part : new MessageText(part.text)];
    });
  const turn = ({ role, content: parts, ...rest }: SavedTurn): Turn => ({
    ...rest,
    role: role as Role,
    content: content(parts),
  });
  const spans = facts.spans.flatMap(({ at, image: index, span }): PlacedSpan[] => {
    const image = images[index];
    if (image === undefined) return [];
    const counts = spanTokens(image);
    const row = counts.slice(0, span).reduce((sum, count) => sum + count, 0);
    return [{ at, tokens: counts[span] ?? 0, image, span, row }];
  });
  return {
    window: facts.window,
    settings,
    initial: facts.initial.map(turn),
    turns: facts.turns.map(turn),
    transcript: { ids, spans, content: facts.content === null ? undefined : content(facts.content) },
  };
}
