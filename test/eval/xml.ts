/** Throws unless `text` is one well-formed XML element: tags that close in order, quoted attributes that do not repeat, no bare < or &. */
export function checkXml(text: string): void {
  const open: string[] = [];
  let roots = 0;
  let rest = text.trim();
  while (rest !== '') {
    const content = /^[^<]+/.exec(rest)?.[0];
    if (content !== undefined) {
      if (open.length === 0) throw new Error(`text outside the root: ${content.slice(0, 40)}`);
      checkText(content);
      rest = rest.slice(content.length);
      continue;
    }
    const tag = /^<(\/?)([a-z]+)((?:\s+[a-zA-Z][a-zA-Z0-9:-]*="[^"<]*")*)\s*(\/?)>/.exec(rest);
    if (tag === null) throw new Error(`no tag: ${rest.slice(0, 80)}`);
    const [whole, closing, name = '', attributes = '', empty] = tag;
    const names = [...attributes.matchAll(/([a-zA-Z][a-zA-Z0-9:-]*)="([^"]*)"/g)].map(([, key = '', value = '']) => {
      checkText(value);
      return key;
    });
    if (new Set(names).size !== names.length) throw new Error(`an attribute twice: ${whole}`);
    if (closing === '/') {
      if (open.pop() !== name) throw new Error(`</${name}> closes nothing`);
    } else {
      if (open.length === 0 && ++roots > 1) throw new Error(`a second root: ${whole}`);
      if (empty !== '/') open.push(name);
    }
    rest = rest.slice(whole.length);
  }
  if (open.length > 0 || roots !== 1) throw new Error(`left open: ${open.join(', ')}`);
}

function checkText(text: string): void {
  if (/&(?!(?:amp|lt|gt|quot|apos|#\d+);)/.test(text)) throw new Error(`a bare &: ${text.slice(0, 60)}`);
}
