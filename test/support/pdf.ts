/** Small PDFs for tests, written object by object, so that each fault and each layout is exactly what its test says. */
import { createHash } from 'node:crypto';

/** A line of text: at `x`, `y` from the lower left corner, in points. */
export interface PdfText {
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly size?: number;
  /**
   * `F1` Helvetica (default), `F2` Helvetica-Bold, `F3` a font that does not say which characters it shows, `F4` one for all of Unicode with a map of its own, whose
   * characters are half as wide as high, and where `\ue000` is one glyph for lam and alef; `F5` to `F7` Chinese, Japanese and Korean fonts that name Adobe's maps and bring none.
   */
  readonly font?: 'F1' | 'F2' | 'F3' | 'F4' | 'F5' | 'F6' | 'F7';
  /** In degrees, against the clock. */
  readonly angle?: number;
  /** In a layer that is not shown. */
  readonly hidden?: boolean;
  /** Marked as a header, a footer or the like. */
  readonly artifact?: boolean;
}

/** What a page's tags say: an element's role, its picture's description and box, and what it holds: texts by their indices, and elements. */
export type PdfElement = readonly [
  role: string | { readonly role: string; readonly alt: string; readonly box?: readonly number[] },
  ...children: (number | PdfElement)[],
];

export interface PdfPageSpec {
  readonly texts?: readonly PdfText[];
  readonly width?: number;
  readonly height?: number;
  readonly rotate?: number;
  /** Fields of a form that are filled in, 200 points wide and 18 high. */
  readonly fields?: readonly { readonly x: number; readonly y: number; readonly value: string }[];
  /** Comments and texts over the page, 200 points wide and 18 high. */
  readonly notes?: readonly {
    readonly x: number;
    readonly y: number;
    readonly subtype: string;
    readonly text: string;
    readonly by?: string;
  }[];
  readonly tags?: readonly PdfElement[];
  /** Origin of the MediaBox. */
  readonly origin?: readonly [number, number];
  /** A picture that fills the page: four pixels, or those given, a byte each from 0 for black. */
  readonly picture?: boolean | { readonly width: number; readonly height: number; readonly gray: Uint8Array };
}

export interface PdfSpec {
  readonly pages: readonly PdfPageSpec[];
  readonly title?: string;
  /** Title and page (from 1) of each entry. */
  readonly outline?: readonly (readonly [title: string, page: number])[];
  /** The name of an attached file. */
  readonly attached?: string;
  /** The user's password; the file is encrypted by RC4 with 40 bits. */
  readonly password?: string;
}

/** Encodings and collections of the fonts that name Adobe's character maps. */
const NAMED = [
  ['UniGB-UCS2-H', 'GB1'],
  ['UniJIS-UCS2-H', 'Japan1'],
  ['UniKS-UCS2-H', 'Korea1'],
] as const;
const hexadecimal = (text: string): string =>
  [...Array(text.length).keys()].map((i) => text.charCodeAt(i).toString(16).padStart(4, '0')).join('');

/** A map from the codes of F4 to what they mean: the UTF-16 units that they are. */
function unicodeMap(units: ReadonlySet<string>): string {
  const rows = [...units].map(
    (unit) => `<${hexadecimal(unit)}> <${hexadecimal(unit === '\ue000' ? '\u0644\u0627' : unit)}>`,
  );
  const blocks = [];
  for (let i = 0; i < rows.length; i += 100)
    blocks.push(`${Math.min(100, rows.length - i)} beginbfchar\n${rows.slice(i, i + 100).join('\n')}\nendbfchar`);
  return (
    '/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapName /Own def\n/CMapType 2 def\n' +
    `1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n${blocks.join('\n')}\nendcmap\nend\nend`
  );
}

const FOUR = { width: 2, height: 2, gray: Uint8Array.of(0, 255, 255, 0) };
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const literal = (text: string): string => `(${text.replace(/[\\()]/g, (mark) => `\\${mark}`)})`;

export function pdf({ pages, title, outline = [], attached, password }: PdfSpec): Uint8Array {
  const objects: (string | { readonly dictionary: string; readonly stream: Buffer })[] = [];
  const add = (object: (typeof objects)[number]): number => objects.push(object);
  const catalog = add('');
  const tree = add('');
  const layer = add('<< /Type /OCG /Name (Off) >>');
  const fonts = [
    add('<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>'),
    add('<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>'),
    add(
      `<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1000 1000] /FontMatrix [.001 0 0 .001 0 0] /CharProcs << >> /FirstChar 1 /LastChar 31 /Widths [${'500 '.repeat(31)}] ` +
        `/Encoding << /Type /Encoding /Differences [1 ${Array.from({ length: 31 }, (_, i) => `/g${i + 1}`).join(' ')}] >> >>`,
    ),
  ];
  const units = new Set(
    pages.flatMap(({ texts = [] }) =>
      texts
        .filter(({ font }) => font === 'F4')
        .flatMap(({ text }) => [...Array(text.length).keys()].map((i) => text[i] ?? '')),
    ),
  );
  const descriptor = add(
    '<< /Type /FontDescriptor /FontName /Own /Flags 4 /FontBBox [0 -200 1000 800] /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >>',
  );
  const cidFont = (collection: string, width: number): number =>
    add(
      `<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Own /CIDSystemInfo << /Registry (Adobe) /Ordering (${collection}) /Supplement 0 >> /FontDescriptor ${descriptor} 0 R /DW ${width} >>`,
    );
  const map = add({ dictionary: '', stream: latin1(unicodeMap(units)) });
  fonts.push(
    add(
      `<< /Type /Font /Subtype /Type0 /BaseFont /Own /Encoding /Identity-H /DescendantFonts [${cidFont('Identity', 500)} 0 R] /ToUnicode ${map} 0 R >>`,
    ),
    ...NAMED.map(([encoding, collection]) =>
      add(
        `<< /Type /Font /Subtype /Type0 /BaseFont /Own /Encoding /${encoding} /DescendantFonts [${cidFont(collection, 1000)} 0 R] >>`,
      ),
    ),
  );
  const image = (columns: number, rows: number, gray: Uint8Array): number =>
    add({
      dictionary: `/Type /XObject /Subtype /Image /Width ${columns} /Height ${rows} /ColorSpace /DeviceGray /BitsPerComponent 8`,
      stream: Buffer.from(gray),
    });
  const fieldNumbers: number[] = [];
  const structure = add('');
  const parents: string[] = [];
  const elements: string[] = [];
  const kids = pages.map((page, pageIndex) => {
    const {
      texts = [],
      width = 595,
      height = 842,
      rotate = 0,
      origin = [0, 0],
      picture: shows,
      fields = [],
      notes = [],
      tags = [],
    } = page;
    const own = add('');
    const owners = texts.map(() => 'null');
    const element = ([head, ...children]: PdfElement, parent: number): number => {
      const { role, alt, box } = typeof head === 'string' ? { role: head, alt: undefined, box: undefined } : head;
      const number = add('');
      const held = children.map((child) => {
        if (typeof child !== 'number') return `${element(child, number)} 0 R`;
        owners[child] = `${number} 0 R`;
        return String(child);
      });
      objects[number - 1] =
        `<< /Type /StructElem /S /${role} /P ${parent} 0 R /Pg ${own} 0 R /K [${held.join(' ')}]` +
        `${alt === undefined ? '' : ` /Alt ${literal(alt)}`}${box === undefined ? '' : ` /A << /O /Layout /BBox [${box.join(' ')}] >>`} >>`;
      return number;
    };
    for (const tag of tags) elements.push(`${element(tag, structure)} 0 R`);
    if (tags.length > 0) parents.push(`${pageIndex} [${owners.join(' ')}]`);
    const drawn = texts.map(
      ({ x, y, text, size = 10, font = 'F1', angle = 0, hidden = false, artifact = false }, i) => {
        const [cos, sin] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
        const mark = artifact ? '/Artifact BMC ' : owners[i] === 'null' ? undefined : `/P << /MCID ${i} >> BDC `;
        const [open, shut] = hidden ? ['/OC /Off BDC ', ' EMC'] : mark === undefined ? ['', ''] : [mark, ' EMC'];
        return `${open}BT /${font} ${size} Tf ${cos.toFixed(4)} ${sin.toFixed(4)} ${(-sin).toFixed(4)} ${cos.toFixed(4)} ${x} ${y} Tm ${font < 'F4' ? literal(text) : `<${hexadecimal(text)}>`} Tj ET${shut}`;
      },
    );
    const { width: columns, height: rows, gray } = typeof shows === 'object' ? shows : FOUR;
    const picture = image(columns, rows, gray);
    if (shows !== undefined && shows !== false) drawn.push(`q ${width} 0 0 ${height} 0 0 cm /Im1 Do Q`);
    const content = add({ dictionary: '', stream: latin1(drawn.join('\n')) });
    const resources = `<< /Font << ${fonts.map((font, i) => `/F${i + 1} ${font} 0 R`).join(' ')} >> /XObject << /Im1 ${picture} 0 R >> /Properties << /Off ${layer} 0 R >> >>`;
    const widgets = fields.map(({ x, y, value }, i) =>
      add(
        `<< /Type /Annot /Subtype /Widget /FT /Tx /T ${literal(`field ${i}`)} /V ${literal(value)} /Rect [${x} ${y} ${x + 200} ${y + 18}] /F 4 /DA (/F1 10 Tf) >>`,
      ),
    );
    fieldNumbers.push(...widgets);
    const marks = notes.map(({ x, y, subtype, text, by }) =>
      add(
        `<< /Type /Annot /Subtype /${subtype} /Contents ${literal(text)} /Rect [${x} ${y} ${x + 200} ${y + 18}] /F 4 /DA (/F1 10 Tf)${by === undefined ? '' : ` /T ${literal(by)}`} >>`,
      ),
    );
    const noted = [...widgets, ...marks];
    const annotations = noted.length > 0 ? ` /Annots [${noted.map((one) => `${one} 0 R`).join(' ')}]` : '';
    const box = `[${origin[0]} ${origin[1]} ${origin[0] + width} ${origin[1] + height}]`;
    objects[own - 1] =
      `<< /Type /Page /Parent ${tree} 0 R /MediaBox ${box} /Rotate ${rotate} /Resources ${resources} /Contents ${content} 0 R${annotations}${tags.length > 0 ? ` /StructParents ${pageIndex}` : ''} >>`;
    return own;
  });
  objects[structure - 1] =
    `<< /Type /StructTreeRoot /K [${elements.join(' ')}] /ParentTree << /Nums [${parents.join(' ')}] >> >>`;
  const tagged = elements.length > 0 ? ` /MarkInfo << /Marked true >> /StructTreeRoot ${structure} 0 R` : '';
  objects[tree - 1] = `<< /Type /Pages /Count ${kids.length} /Kids [${kids.map((kid) => `${kid} 0 R`).join(' ')}] >>`;
  let outlines = '';
  if (outline.length > 0) {
    const root = add('');
    const first = root + 1;
    outline.forEach(([name, page], i) =>
      add(
        `<< /Title ${literal(name)} /Parent ${root} 0 R /Dest [${kids[page - 1] ?? 0} 0 R /Fit]` +
          `${i > 0 ? ` /Prev ${first + i - 1} 0 R` : ''}${i + 1 < outline.length ? ` /Next ${first + i + 1} 0 R` : ''} >>`,
      ),
    );
    objects[root - 1] =
      `<< /Type /Outlines /First ${first} 0 R /Last ${first + outline.length - 1} 0 R /Count ${outline.length} >>`;
    outlines = ` /Outlines ${root} 0 R`;
  }
  const form =
    fieldNumbers.length > 0 ? ` /AcroForm << /Fields [${fieldNumbers.map((one) => `${one} 0 R`).join(' ')}] >>` : '';
  const file = attached === undefined ? 0 : add({ dictionary: '/Type /EmbeddedFile', stream: latin1('inner') });
  const files =
    attached === undefined
      ? ''
      : ` /Names << /EmbeddedFiles << /Names [${literal(attached)} << /Type /Filespec /F ${literal(attached)} /EF << /F ${file} 0 R >> >>] >> >>`;
  const layers = ` /OCProperties << /OCGs [${layer} 0 R] /D << /OFF [${layer} 0 R] >> >>`;
  objects[catalog - 1] = `<< /Type /Catalog /Pages ${tree} 0 R${outlines}${form}${files}${layers}${tagged} >>`;
  const info = title === undefined || password !== undefined ? undefined : add(`<< /Title ${literal(title)} >>`);
  const id = createHash('md5').update('octavo').digest();
  const key = password === undefined ? undefined : encryption(password, id);
  const encrypt = key === undefined ? undefined : add(key.dictionary);

  const parts: Buffer[] = [latin1('%PDF-1.4\n')];
  const offsets: number[] = [];
  let length = parts[0]?.length ?? 0;
  const write = (buffer: Buffer): void => {
    parts.push(buffer);
    length += buffer.length;
  };
  objects.forEach((object, i) => {
    offsets.push(length);
    if (typeof object === 'string') write(latin1(`${i + 1} 0 obj\n${object}\nendobj\n`));
    else {
      const stream = key === undefined ? object.stream : key.encrypt(i + 1, object.stream);
      write(latin1(`${i + 1} 0 obj\n<< ${object.dictionary} /Length ${stream.length} >>\nstream\n`));
      write(stream);
      write(latin1('\nendstream\nendobj\n'));
    }
  });
  const start = length;
  write(latin1(`xref\n0 ${objects.length + 1}\n0000000000 65535 f \n`));
  for (const offset of offsets) write(latin1(`${String(offset).padStart(10, '0')} 00000 n \n`));
  const more = `${info === undefined ? '' : ` /Info ${info} 0 R`}${encrypt === undefined ? '' : ` /Encrypt ${encrypt} 0 R /ID [<${id.toString('hex')}> <${id.toString('hex')}>]`}`;
  write(latin1(`trailer\n<< /Size ${objects.length + 1} /Root ${catalog} 0 R${more} >>\nstartxref\n${start}\n%%EOF\n`));
  return new Uint8Array(Buffer.concat(parts));
}

const PADDING = Buffer.from('28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a', 'hex');

function rc4(key: Buffer, data: Buffer): Buffer {
  const state = Array.from({ length: 256 }, (_, i) => i);
  for (let i = 0, j = 0; i < 256; i++) {
    j = (j + (state[i] ?? 0) + (key[i % key.length] ?? 0)) & 255;
    [state[i], state[j]] = [state[j] ?? 0, state[i] ?? 0];
  }
  let i = 0;
  let j = 0;
  return Buffer.from(
    data.map((byte) => {
      i = (i + 1) & 255;
      j = (j + (state[i] ?? 0)) & 255;
      [state[i], state[j]] = [state[j] ?? 0, state[i] ?? 0];
      return byte ^ (state[((state[i] ?? 0) + (state[j] ?? 0)) & 255] ?? 0);
    }),
  );
}

/** PDF 1.7, 7.6.3, revision 2: the owner's password is the user's. */
function encryption(
  password: string,
  id: Buffer,
): { readonly dictionary: string; encrypt(object: number, data: Buffer): Buffer } {
  const md5 = (...data: Buffer[]): Buffer => createHash('md5').update(Buffer.concat(data)).digest();
  const padded = Buffer.concat([latin1(password), PADDING]).subarray(0, 32);
  const owner = rc4(md5(padded).subarray(0, 5), padded);
  const permissions = Buffer.alloc(4);
  permissions.writeInt32LE(-4);
  const key = md5(padded, owner, permissions, id).subarray(0, 5);
  const user = rc4(key, PADDING);
  return {
    dictionary: `<< /Filter /Standard /V 1 /R 2 /O <${owner.toString('hex')}> /U <${user.toString('hex')}> /P -4 >>`,
    encrypt: (object, data) => {
      const number = Buffer.alloc(5);
      number.writeUInt32LE(object);
      return rc4(md5(key, number).subarray(0, 10), data);
    },
  };
}

/** Lines of a paragraph below each other. */
export function column(x: number, top: number, lines: readonly string[], size = 10): PdfText[] {
  return lines.map((text, i) => ({ x, y: top - i * size * 1.2, text, size }));
}
