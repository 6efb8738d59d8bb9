// The conversation across a reload: the engine keeps the session with all that was computed for it, this page keeps what was shown.
import { Octavo } from '/octavo/dist/index.js';

const SHOWN = 'octavo studio: conversation';
const name = (fingerprint) => `studio ${fingerprint.slice(0, 16)}`;
/** Pictures are kept small: this storage holds some five megabytes in all. */
const QUALITY = 0.8;

/** After an answer. What cannot be kept (a full disk, a private window) is lost with the page, and nothing else. */
export async function remember(session, fingerprint, messages) {
  try {
    await session.save(name(fingerprint));
    const lines = [...messages.children].map((line) => ({
      role: line.className,
      text: [...line.childNodes]
        .filter((node) => node.nodeType === Node.TEXT_NODE)
        .map((node) => node.data)
        .join(''),
      picture: line.querySelector('canvas')?.toDataURL('image/jpeg', QUALITY),
    }));
    localStorage.setItem(SHOWN, JSON.stringify({ fingerprint, lines }));
  } catch {
    await forget(fingerprint);
  }
}

/** The session that this model had here, with its lines shown by `say`; undefined where there is none. */
export async function recall(model, say) {
  try {
    const { fingerprint, lines } = JSON.parse(localStorage.getItem(SHOWN) ?? '{}');
    if (fingerprint !== model.fingerprint) return undefined;
    const session = await model.resumeSession(name(fingerprint));
    for (const { role, text, picture } of lines) say(role, text, picture && (await canvasOf(picture)));
    return session;
  } catch {
    return undefined;
  }
}

export async function forget(fingerprint) {
  localStorage.removeItem(SHOWN);
  await Octavo.sessions.remove(name(fingerprint)).catch(() => undefined);
}

async function canvasOf(dataUrl) {
  const bytes = Uint8Array.from(atob(dataUrl.split(',')[1]), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/jpeg' }));
  const canvas = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height });
  canvas.getContext('2d').drawImage(bitmap, 0, 0);
  return canvas;
}
