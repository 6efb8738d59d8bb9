/**
 * Between a session as it runs and as it is saved. What is saved depends on content alone: a picture's mark holds a number that was drawn for the
 * loaded model, so text is saved in pieces with pictures between them, and the marks are made anew when it is read.
 */
import { StorageError } from '../errors.ts';
import type { RecordFacts, SavedPicture, SavedText, SavedTurn } from './record.ts';
import type { Role, Turn } from '../chat/messages.ts';
import type { SessionState } from '../generate/session-state.ts';
import { splitAtMarks, type SeenPicture, type Sight, type VisualRoute } from '../see/pictures.ts';
import { readSelection } from '../select/visual/index.ts';
import { beginning } from '../chat/prompt.ts';

/** A state's part of a record. */
export type StateFacts = Pick<
  RecordFacts,
  'window' | 'settings' | 'pictures' | 'placed' | 'text' | 'initial' | 'turns'
>;

/** `pixels`: of all pictures, one after the other. */
export function packState({ window, settings, initial, turns, transcript }: SessionState): {
  readonly facts: StateFacts;
  readonly pixels: Uint8Array;
} {
  const pictures = [
    ...new Map(
      [
        ...[...initial, ...turns].flatMap((turn) => turn.pictures ?? []),
        ...transcript.pictures.map(({ picture }) => picture),
      ].map((picture) => [picture.mark, picture]),
    ).values(),
  ];
  const number = new Map(pictures.map(({ mark }, index) => [mark, index]));
  const parts = (text: string): SavedText =>
    splitAtMarks(text, pictures).map((part) => (typeof part === 'string' ? part : (number.get(part.mark) ?? 0)));
  const saved = ({ role, content, partial }: Turn): SavedTurn => ({ role, content: parts(content), partial });
  const pixels = new Uint8Array(pictures.reduce((sum, { image }) => sum + image.data.length, 0));
  let at = 0;
  for (const { image } of pictures) {
    pixels.set(image.data, at);
    at += image.data.length;
  }
  return {
    facts: {
      window,
      settings: JSON.parse(JSON.stringify(settings)) as Readonly<Record<string, unknown>>,
      pictures: pictures.map(({ size, route, tokens, thinned }): SavedPicture => ({
        size,
        route,
        tokens,
        question: thinned?.question,
      })),
      placed: transcript.pictures.map(({ at: place, picture }) => ({
        at: place,
        picture: number.get(picture.mark) ?? 0,
      })),
      text: transcript.text === undefined ? null : parts(transcript.text),
      initial: initial.map(saved),
      turns: turns.map(saved),
    },
    pixels,
  };
}

/** The state again. Throws `StorageError('changed')` where the pictures would not be looked at as they were. */
export function unpackState(facts: StateFacts, ids: Int32Array, pixels: Uint8Array, sight: Sight): SessionState {
  const settings = facts.settings as SessionState['settings'];
  let at = 0;
  const choice = readSelection(settings.context?.visual);
  const pictures = facts.pictures.map(({ size, route, tokens, question }, index): SeenPicture => {
    const data = new Uint8ClampedArray(pixels.slice(at, at + 4 * size * size));
    at += data.length;
    const seen = sight.look(
      { data, width: size, height: size },
      `saved picture ${index}`,
      { ...settings.visual, size, ...(route === undefined ? {} : { route: route as VisualRoute }) },
      choice && { choice, question, tokens },
    );
    if (seen.tokens !== tokens) {
      throw new StorageError(
        'changed',
        `saved picture ${index} took ${tokens} tokens of the context and would take ${seen.tokens} now; remove the session (Octavo.sessions.remove) and show the picture anew`,
        { tokens, now: seen.tokens },
      );
    }
    return seen;
  });
  const text = (saved: SavedText): string =>
    saved.map((part) => (typeof part === 'string' ? part : (pictures[part]?.mark ?? ''))).join('');
  const turn = ({ role, content, partial }: SavedTurn): Turn => {
    const shown = content.flatMap((part) => (typeof part === 'number' ? (pictures[part] ?? []) : []));
    return {
      role: role as Role,
      content: text(content),
      ...(shown.length === 0 ? {} : { pictures: shown }),
      ...(partial === true ? { partial } : {}),
    };
  };
  const placed = facts.placed.flatMap(({ at: place, picture }) => {
    const seen = pictures[picture];
    return seen === undefined ? [] : [{ at: place, picture: seen }];
  });
  return {
    window: facts.window,
    settings,
    initial: facts.initial.map(turn),
    turns: facts.turns.map(turn),
    transcript: {
      ...beginning({ ids, pictures: placed }, ids.length),
      text: facts.text === null ? undefined : text(facts.text),
    },
  };
}
