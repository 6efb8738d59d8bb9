// A conversation in which a question may bring a picture.
import { forget, recall, remember } from './history.js';
import { copyOf, showFile } from './show.js';

/** Questions that nano can answer. */
const EXAMPLES = [
  'The code of the north gate is 4711. The code of the south gate is 2024. What is the code of the south gate?',
  'Ann lives in Oslo. Bob lives in Rome. Where does Bob live?',
];

export function startTalk(room) {
  const messages = room.querySelector('#messages');
  const form = room.querySelector('#ask');
  const question = room.querySelector('#question');
  const attached = room.querySelector('#attached');
  const canvas = attached.querySelector('canvas');
  const input = room.querySelector('#attach');
  const send = room.querySelector('#send');
  const stop = room.querySelector('#stop-talk');
  const conversation = room.querySelector('#conversation');
  const welcome = room.querySelector('#welcome');
  let fingerprint;
  let session;
  let picture;
  let abort;

  async function attach(file) {
    try {
      await showFile(canvas, file);
      picture = file;
      attached.hidden = false;
    } catch {
      say('assistant', 'This file holds no picture that this browser can read.').classList.add('failed');
    }
  }
  function detach() {
    picture = undefined;
    attached.hidden = true;
    input.value = '';
  }
  function say(role, text, image) {
    const line = document.createElement('li');
    line.className = role;
    if (image !== undefined) line.append(image);
    line.append(text);
    messages.append(line);
    follow(true);
    return line;
  }
  /** Shows the newest line, unless the reader has scrolled up to read. */
  function follow(always) {
    const { scrollHeight, scrollTop, clientHeight } = conversation;
    if (always || scrollHeight - scrollTop - clientHeight < 80) conversation.scrollTop = scrollHeight;
  }

  input.addEventListener('change', () => input.files[0] && attach(input.files[0]));
  attached.querySelector('button').addEventListener('click', detach);
  stop.addEventListener('click', () => abort?.abort());
  question.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (session === undefined || abort !== undefined) return;
    const text = question.value.trim();
    if (text === '') return;
    const content = [
      ...(picture === undefined ? [] : [{ type: 'image', value: picture }]),
      { type: 'text', value: text },
    ];
    say('user', text, picture === undefined ? undefined : copyOf(canvas));
    const reply = say('assistant', '…');
    question.value = '';
    detach();
    abort = new AbortController();
    send.hidden = true;
    stop.hidden = false;
    const begun = performance.now();
    let answer = '';
    try {
      for await (const piece of session.promptStreaming([{ role: 'user', content }], { signal: abort.signal })) {
        answer += piece;
        reply.textContent = answer.trimStart();
        follow(false);
      }
      const time = document.createElement('small');
      time.textContent = `${Math.round(performance.now() - begun)} ms, ${session.contextUsage} of ${session.contextWindow} tokens`;
      reply.append(time);
      follow(false);
    } catch (error) {
      if (error.name === 'AbortError') reply.textContent = `${answer.trimStart()} …`;
      else {
        reply.textContent = error.message;
        reply.classList.add('failed');
      }
    } finally {
      abort = undefined;
      send.hidden = false;
      stop.hidden = true;
    }
    // The next question need not wait for this.
    if (session !== undefined) void remember(session, fingerprint, messages);
  });

  for (const example of EXAMPLES) {
    const button = Object.assign(document.createElement('button'), {
      type: 'button',
      className: 'quiet',
      textContent: example,
    });
    button.addEventListener('click', () => {
      question.value = example;
      question.focus();
    });
    room.querySelector('.examples').append(button);
  }

  return {
    attach,
    async enter(model, bundled) {
      welcome.hidden = !bundled;
      fingerprint = model.fingerprint;
      session = await recall(model, say);
      if (session === undefined) {
        await forget(fingerprint);
        session = await model.createSession({ temperature: 0 });
      }
      input.closest('label').hidden = !model.capabilities.see;
      send.disabled = false;
    },
    leave() {
      abort?.abort();
      session?.destroy();
      session = undefined;
      send.disabled = true;
      messages.replaceChildren();
    },
  };
}
