// The first page of `npm start`: what this browser offers, the documentation if it was built, and commands that a click copies.
const docs = document.querySelector('#docs');
const found = await fetch('/docs/').catch(() => undefined);
if (found?.ok) docs.hidden = false;

const facts = [
  'gpu' in navigator ? 'WebGPU' : 'no WebGPU: the processor computes',
  globalThis.crossOriginIsolated
    ? `threads (${navigator.hardwareConcurrency} processors)`
    : 'no threads: this page is not isolated',
];
document.querySelector('#device').textContent = `This browser: ${facts.join(', ')}.`;

// Pictures that were not made yet leave no broken frames.
for (const image of document.querySelectorAll('.shot img')) {
  image.addEventListener('error', () => image.remove());
  if (image.complete && image.naturalWidth === 0) image.remove();
}

for (const code of document.querySelectorAll('.commands code')) {
  const button = Object.assign(document.createElement('button'), { type: 'button', textContent: 'Copy' });
  button.setAttribute('aria-label', `Copy ${code.textContent}`);
  const copied = () => {
    button.textContent = 'Copied';
    setTimeout(() => (button.textContent = 'Copy'), 1500);
  };
  button.addEventListener('click', () => void navigator.clipboard.writeText(code.textContent).then(copied));
  code.after(button);
}
