/** XML as it is read by docx: tags and text, one after the other. No entities but the five and those by number, so that nothing grows; nothing is fetched. */

export type XmlEvent =
  | { readonly kind: 'open'; readonly name: string; readonly attributes: ReadonlyMap<string, string> }
  | { readonly kind: 'close'; readonly name: string }
  | { readonly kind: 'text'; readonly text: string };

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

export function* xmlEvents(xml: string): Generator<XmlEvent> {
  let at = 0;
  while (at < xml.length) {
    const tag = xml.indexOf('<', at);
    const end = tag < 0 ? xml.length : tag;
    if (end > at) yield { kind: 'text', text: plain(xml.slice(at, end)) };
    if (tag < 0) return;
    const closing = xml.startsWith('<!--', tag) ? '-->' : xml.startsWith('<![CDATA[', tag) ? ']]>' : '>';
    const stop = xml.indexOf(closing, tag);
    if (stop < 0) return;
    at = stop + closing.length;
    if (closing === ']]>') yield { kind: 'text', text: xml.slice(tag + 9, stop) };
    if (closing !== '>' || xml[tag + 1] === '!' || xml[tag + 1] === '?') continue;
    const body = xml.slice(tag + 1, stop);
    if (body.startsWith('/')) {
      yield { kind: 'close', name: body.slice(1).trim() };
      continue;
    }
    const name = /^[^\s/]+/.exec(body)?.[0] ?? '';
    const attributes = new Map<string, string>();
    for (const [, key = '', double, single] of body
      .slice(name.length)
      .matchAll(/([^\s=/"']+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g))
      attributes.set(key, plain(double ?? single ?? ''));
    yield { kind: 'open', name, attributes };
    if (body.endsWith('/')) yield { kind: 'close', name };
  }
}

function plain(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(
    /&(?:#x([\da-f]{1,6})|#(\d{1,7})|(\w{1,8}));/gi,
    (whole, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name] ?? whole;
      const point = hex === undefined ? Number(decimal) : parseInt(hex, 16);
      return point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff)
        ? String.fromCodePoint(point)
        : '\ufffd';
    },
  );
}
