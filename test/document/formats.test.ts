/** Text, Markdown, HTML, docx and CSV to blocks, with what each format has of headings and tables; and hostile ones, of which nothing may run or hang. */
import { describe, expect, test } from '@jest/globals';
import { deflateRawSync } from 'node:zlib';
import { openTest, textFile } from '../support/documents.ts';

const outlineOf = async (file: File): Promise<string[]> =>
  (await openTest(file)).outline.map(({ level, title }) => `${level} ${title}`);

test('Markdown: headings, lists, tables as rows, code as it is; HTML in it is left out', async () => {
  const text =
    '# Port\n\nThe **quay** is [old](javascript:alert(1)) `x < y`.\n\n## Dues\n\n| Ship | Toll |\n|---|---|\n| Anna | 30 |\n\n- one\n- two\n\n3. three\n   - inner\n4. four m<sup>2</sup>\n\n```js\nif (a)\n  b();\n```\n\n<script>globalThis.ran = true</script>\n\nEnd <b>of</b> it.';
  const document = await openTest(textFile(text, 'port.md'));
  expect(document.text).toBe(
    'Port\n\nThe quay is old x < y.\n\nDues\n\nShip | Toll\nAnna | 30\n\none\n\ntwo\n\n3. three\n\ninner\n\n4. four m²\n\nif (a)\n  b();\n\nEnd of it.',
  );
  expect(document.outline).toMatchObject([
    { level: 1, title: 'Port' },
    { level: 2, title: 'Dues', start: document.text.indexOf('Dues') },
  ]);
  expect(document.title).toBe('Port');
});

test('Markdown: footnotes have the numbers of their references, and stand behind the text', async () => {
  const text =
    'The dues[^dues] are old[^1].\n\n[^1]: Since *1904*.\n    Or 1905.\n\n    By decree[^x].\n[^dues]: Paid.\n\nNot `[^1]` or [^none].\n\n~~~\n[^1]: code\n~~~\n[^left]: Unused.\n[^x]: https://example.org';
  expect((await openTest(textFile(text, 'a.md'))).text).toBe(
    'The dues¹ are old².\n\nNot [^1] or [^none].\n\n[^1]: code\n\n¹ Paid.\n\n² Since 1904. Or 1905.\n\nBy decree³.\n\n³ https://example.org\n\nUnused.',
  );
});

test('Markdown: facts before the text and what was struck out are left out, what stands in a block of HTML is read', async () => {
  const text =
    '+++\ntitle = "a"\n+++\n\nDues ~~30~~ 40.\n\n<details>\n<summary>More <!-- x --></summary>\n\nAnna.\n\n</details>\n\n<style>\nb{}\n</style>';
  expect((await openTest(textFile(text, 'a.md'))).text).toBe('Dues 40.\n\nMore\n\nAnna.');
});

test('HTML: what is shown, not what is hidden or run', async () => {
  const html = `<!doctype html><html><head><title>Port &amp; quay</title><style>b{}</style></head><body onload="globalThis.ran = true">
    <nav>Home</nav><h1>The  port</h1><p>Line one<br>line two &lt;b&gt; <span hidden>secret</span><span style="display: none">more</span></p>
    <p>10<sup>2</sup> m<sup>2</sup>, 10<sup>−<b>6</b></sup>, 1<sup>st</sup> ship<sup><a href=#n>12</a></sup><sup>[3]</sup>, 2<sup>n</sup> 3<sup>n−1</sup> x<sup>q</sup> y<sup>q+1</sup> M<sup>me</sup><table><tr><th>Ship<th>Toll<sup>1</sup><tr><td><p>Anna</p><td>30</table><ul><li>one<li>two</ul><ol start=3><li>three<ol type=a><li>deep</ol><li value=7>seven<li>eight</ol><pre>a
  b</pre><script>globalThis.ran = true; document.write('written')</script><img src=x onerror="globalThis.ran = true"><iframe srcdoc="no"></iframe></body>`;
  const document = await openTest(textFile(html, 'port.html'));
  expect(document.title).toBe('Port & quay');
  expect(document.text).toBe(
    'The port\n\nLine one\nline two <b>\n\n10² m², 10⁻⁶, 1st ship¹²[3], 2ⁿ 3ⁿ⁻¹ x^q y^(q+1) Mme\n\nShip | Toll¹\nAnna | 30\n\none\n\ntwo\n\n3. three\n\na. deep\n\n7. seven\n\n8. eight\n\na\n  b',
  );
  expect('ran' in globalThis).toBe(false);
});

test('HTML: tables within cells are parts of the cell, and soft hyphens are left out', async () => {
  const html =
    '<p>har&shy;bour</p><table><tr><td>dues:<table><tr><td>Anna<td>30</tr><tr><td>Berta<td>20</tr></table></td><td>paid</td></tr><tr><td>a<td>b</table>';
  expect((await openTest(textFile(html, 'a.html'))).text).toBe('harbour\n\ndues: Anna, 30; Berta, 20 | paid\na | b');
  const deep = `${'<table><tr><td>x'.repeat(20_000)}deep`;
  expect((await openTest(textFile(deep, 'deep.html'))).text).toContain('deep');
});

test('HTML: a cell of several rows or columns stands in each of them', async () => {
  const html =
    '<table><thead><tr><th rowspan=2>Crane<th colspan=2>Load<tr><th>near<th>far<tbody>' +
    '<tr><td rowspan=2>East<td>45<td>20<tr><td>44<td>19<tr><td>West<td colspan=2>30<tr><td colspan=3>in tonnes</table>' +
    `<table><tr><td>a<td rowspan=3>${'long '.repeat(20)}<tr><td>b</table><table><tr><td rowspan=0>x<td>y<tr><td>z<tbody><tr><td>new</table>`;
  expect((await openTest(textFile(html, 'a.html'))).text.replaceAll(/(?:long ?)+/g, 'LONG')).toBe(
    'Crane | Load | Load\nCrane | near | far\nEast | 45 | 20\nEast | 44 | 19\nWest | 30 | 30\nin tonnes\n' +
      'a | LONG\nb | \nx | y\nx | z\nnew',
  );
  const wide = await openTest(textFile(`<table>${'<tr><td>a<td colspan=1000 rowspan=65534>b'.repeat(60)}`, 'a.html'));
  expect(wide.text.length).toBeLessThan(1_000_000);
});

test('HTML: what stands for a picture is read; navigation and questions for consent are not', async () => {
  const html =
    '<body class="cookie-banner"><div role="navigation">Home</div><div role=dialog><div>Subscribe</div></div><section aria-label="Cookie consent">We use cookies</section>' +
    '<div id="onetrust-consent-sdk">Accept all</div><h1 id="cookie-notice">Cookie notices</h1><article class="cookie-recipes"><p>Bake <img src=a alt=""><img src=b alt="the dough" onerror=x>,' +
    '<img src=c alt="hidden" aria-hidden=true> then <del>eat</del> <ins>cool</ins> it.</p></article><section aria-label="Harbour">Quay</section>';
  expect((await openTest(textFile(html, 'a.html'))).text).toBe(
    'Cookie notices\n\nBake the dough , then cool it.\n\nQuay',
  );
});

test('HTML: links that say where to go on the page, the way to it and links that edit it are not read', async () => {
  const html =
    '<a href="#main">Skip to <b>main content</b></a><ol class="nav breadcrumb"><li>Home</li></ol><div itemtype="https://schema.org/BreadcrumbList">Home › Fees</div>' +
    '<h1>Fees<a href="#fees">¶</a> <span class="mw-editsection">[edit]</span></h1><p>It is <a href="#b">12 <i>euros</i></a><sup><a href="#1">a</a></sup>. <a href="/x">Skip to the end</a> <a href="#jump">jump</a></p>' +
    '<p><a href="#">Back to top</a></p><a href="#left open">The end';
  expect((await openTest(textFile(html, 'a.html'))).text).toBe(
    'Fees\n\nIt is 12 eurosᵃ. Skip to the end jump\n\nThe end',
  );
});

test('a file without text says so', async () => {
  const { notes } = await openTest(textFile(' \n\n', 'a.md'));
  expect(notes).toEqual(['it has no text; nothing can be found in it']);
});

test.each([
  ['nested HTML', `${'<div>'.repeat(50_000)}deep`, 'a.html', 'deep'],
  ['nested quotes in Markdown', `${'> '.repeat(5_000)}deep`, 'a.md', undefined],
  ['open brackets in Markdown', '['.repeat(200_000), 'a.md', undefined],
  ['stars in Markdown', '*a '.repeat(60_000), 'a.md', undefined],
  ['a line of spaces', ' '.repeat(500_000) + 'x', 'a.txt', 'x'],
  ['quotes in a table', '"'.repeat(300_001), 'a.csv', undefined],
])('%s neither overflow the stack nor hang', async (_, text, name, expected) => {
  const begun = performance.now();
  const document = await openTest(textFile(text, name));
  if (expected !== undefined) expect(document.text.trim()).toBe(expected);
  expect(performance.now() - begun).toBeLessThan(20_000);
});

test('CSV: separators are found, quoted cells are read, rows are lines', async () => {
  expect((await openTest(textFile('name;note\nAnna;"a ""b"" ; c\nd"\n\nBerta;2', 'a.csv'))).text).toBe(
    'name | note\nAnna | a "b" ; c d\nBerta | 2',
  );
  expect((await openTest(textFile('a\tb\n1\t2', 'a.tsv'))).text).toBe('a | b\n1 | 2');
  expect((await openTest(textFile('a^b\n1^2,5', 'a.csv'))).text).toBe('a | b\n1 | 2,5');
  // The line by which Excel is told the separator.
  expect((await openTest(textFile('sep=#\r\na#b\r\n1,2#3,4', 'a.csv'))).text).toBe('a | b\n1,2 | 3,4');
});

test('text: paragraphs, headings in capitals, pages between form feeds, other encodings', async () => {
  const document = await openTest(
    textFile('CHAPTER ONE\r\n\r\nIt was a dark\r\nand stormy night.\r\n\fSecond page.', 'a.txt'),
  );
  expect(document.text).toBe('CHAPTER ONE\n\nIt was a dark\nand stormy night.\n\nSecond page.');
  expect(document.pages.map(({ start, end }) => document.text.slice(start, end).trim())).toEqual([
    'CHAPTER ONE\n\nIt was a dark\nand stormy night.',
    'Second page.',
  ]);
  expect(await outlineOf(textFile('CHAPTER ONE\n\ntext', 'a.txt'))).toEqual(['1 CHAPTER ONE']);
  const euro = Uint8Array.of(0x33, 0x20, 0x80, 0x20, 0x96, 0x20, 0xe9);
  expect((await openTest(new File([euro], 'a.txt'))).text).toBe('3 € – é');
  const titled = '<title>Dues</title><svg><title>icon</title></svg><p>Paid.';
  expect((await openTest(textFile(titled, 'a.html'))).title).toBe('Dues');
  expect((await openTest(new File([Uint8Array.of(0x47, 0x72, 0xfc, 0xdf, 0x65)], 'a.txt'))).text).toBe('Grüße');
  expect((await openTest(new File([Buffer.from('\ufeffGrüße', 'utf16le')], 'a.txt'))).text).toBe('Grüße');
});

/** A ZIP archive of text parts. */
function zip(parts: Readonly<Record<string, string>>): Uint8Array {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(parts)) {
    const data = deflateRawSync(Buffer.from(text));
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50);
    local.writeUInt16LE(8, 8);
    local.writeUInt32LE(data.length, 18);
    local.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50);
    entry.writeUInt16LE(8, 10);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(offset, 42);
    const whole = Buffer.concat([local, Buffer.from(name), data]);
    locals.push(whole);
    central.push(Buffer.concat([entry, Buffer.from(name)]));
    offset += whole.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50);
  end.writeUInt16LE(central.length, 8);
  end.writeUInt16LE(central.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return new Uint8Array(Buffer.concat([...locals, directory, end]));
}

describe('docx', () => {
  const styles = '<w:styles><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style></w:styles>';
  const paragraph = (text: string, properties = ''): string =>
    `<w:p><w:pPr>${properties}</w:pPr><w:r><w:t>${text}</w:t></w:r></w:p>`;

  test('headings by their styles, tables, what was deleted is left out, footnotes', async () => {
    const body =
      paragraph('Dues &amp; tolls', '<w:pStyle w:val="berschrift1"/>') +
      '<w:p><w:r><w:t>All </w:t></w:r><w:del><w:r><w:delText>no </w:delText></w:r></w:del><w:ins><w:r><w:t>ships</w:t></w:r></w:ins><w:r><w:tab/><w:t>pay</w:t><w:endnoteReference w:id="5"/><w:t>.</w:t><w:footnoteReference w:id="2"/></w:r></w:p>' +
      `<w:tbl><w:tr><w:tc>${paragraph('Anna')}</w:tc><w:tc>${paragraph('30')}${paragraph('marks')}</w:tc></w:tr></w:tbl>` +
      paragraph('one', '<w:numPr/>');
    const file = zip({
      'word/document.xml': `<?xml version="1.0"?><w:document><w:body>${body}</w:body></w:document>`,
      'word/styles.xml': styles,
      'word/footnotes.xml': `<w:footnotes><w:footnote w:id="2"><w:p><w:r><w:footnoteRef/></w:r><w:r><w:t> A note.</w:t></w:r></w:p></w:footnote></w:footnotes>`,
      'word/endnotes.xml': `<w:endnotes><w:endnote w:id="5"><w:p><w:r><w:endnoteRef/><w:t> In May.</w:t></w:r></w:p></w:endnote></w:endnotes>`,
      'docProps/core.xml': '<x><dc:title>Rules</dc:title></x>',
    });
    const document = await openTest(new File([file as Uint8Array<ArrayBuffer>], 'rules.docx'));
    expect(document.text).toBe('Dues & tolls\n\nAll ships payⁱ.¹\n\nAnna | 30 marks\n\none\n\n¹ A note.\n\nⁱ In May.');
    expect(document.outline).toMatchObject([{ title: 'Dues & tolls', level: 1 }]);
    expect(document.title).toBe('Rules');
  });

  test('hidden runs are left out, and equations are read', async () => {
    const run = (text: string, properties = ''): string => `<w:r><w:rPr>${properties}</w:rPr><w:t>${text}</w:t></w:r>`;
    const math =
      '<m:oMath><m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup><m:r><m:t>=</m:t></m:r><m:f><m:num><m:r><m:t>9</m:t></m:r></m:num><m:den><m:r><m:t>4</m:t></m:r></m:den></m:f></m:oMath>';
    const hidden = `<w:p><w:pPr><w:rPr><w:vanish/></w:rPr></w:pPr>${run('Pay', '<w:vanish w:val="0"/>')}${run('no', '<w:vanish/>')}${run(' dues')}</w:p>`;
    const file = zip({ 'word/document.xml': `<w:document><w:body>${hidden}<w:p>${math}</w:p></w:body></w:document>` });
    const { text } = await openTest(new File([file as Uint8Array<ArrayBuffer>], 'a.docx'));
    expect(text).toBe('Pay dues\n\nx²=9/4');
  });

  test('a paragraph whose end was deleted goes on, and a table in a cell is a part of it', async () => {
    const deleted = '<w:rPr><w:del w:id="1"/></w:rPr>';
    const inner = `<w:tbl><w:tr><w:tc>${paragraph('month')}</w:tc><w:tc>${paragraph('40')}</w:tc></w:tr></w:tbl>`;
    const body =
      paragraph('The toll is due each ', deleted) +
      paragraph('month, in May.') +
      paragraph('New.') +
      `<w:tbl><w:tr><w:tc>${paragraph('Anna')}</w:tc><w:tc>${inner}${paragraph('')}</w:tc></w:tr></w:tbl>`;
    const file = zip({ 'word/document.xml': `<w:document><w:body>${body}</w:body></w:document>` });
    const document = await openTest(new File([file as Uint8Array<ArrayBuffer>], 'a.docx'));
    expect(document.text).toBe('The toll is due each month, in May.\n\nNew.\n\nAnna | month, 40');
  });

  test('numbers of lists and headings, raised digits, and what stands on each page once', async () => {
    const level = (format: string, text: string, start = 1): string =>
      `<w:start w:val="${start}"/><w:numFmt w:val="${format}"/><w:lvlText w:val="${text}"/>`;
    const list = (id: string, levels: readonly string[]): string =>
      `<w:abstractNum w:abstractNumId="${id}">${levels.map((own, i) => `<w:lvl w:ilvl="${i}">${own}</w:lvl>`).join('')}</w:abstractNum>`;
    const numbering =
      list('7', [level('decimal', '%1.'), level('lowerLetter', '%2)'), level('upperRoman', '(%3)', 4)]) +
      list('8', [level('decimal', '§ %1'), level('decimal', '%1.%2')]) +
      list('9', [level('bullet', '•')]) +
      [7, 8, 9].map((id) => `<w:num w:numId="${id - 6}"><w:abstractNumId w:val="${id}"/></w:num>`).join('') +
      '<w:num w:numId="4"><w:abstractNumId w:val="7"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride></w:num>';
    const place = (number: number, depth = 0): string =>
      `<w:numPr><w:ilvl w:val="${depth}"/><w:numId w:val="${number}"/></w:numPr>`;
    const numbered =
      '<w:style w:styleId="H1"><w:name w:val="heading 1"/><w:pPr><w:numPr><w:numId w:val="2"/></w:numPr></w:pPr></w:style>' +
      '<w:style w:styleId="Own"><w:name w:val="Clause"/><w:basedOn w:val="H1"/></w:style>';
    const raised = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:t>2</w:t></w:r>';
    const field = (command: string, shown: string): string =>
      `<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> ${command} </w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>${shown}</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`;
    const body =
      paragraph('Parties', '<w:pStyle w:val="Own"/>') +
      paragraph('Anna', place(1)) +
      paragraph('rent', place(1, 1)) +
      paragraph('heat', place(1, 1)) +
      paragraph('gas', place(1, 2)) +
      paragraph('Berta', place(1)) +
      paragraph('rent', place(1, 1)) +
      paragraph('Rooms', '<w:pStyle w:val="Own"/>') +
      paragraph('Kitchen', place(2, 1)) +
      paragraph('point', place(3)) +
      paragraph('later', place(4)) +
      paragraph('Plain', '<w:pStyle w:val="Own"/><w:numPr><w:numId w:val="0"/></w:numPr>') +
      `<w:p><w:r><w:t>40 m</w:t></w:r>${raised}<w:r><w:t> of floor.</w:t></w:r></w:p>` +
      '<w:sectPr><w:headerReference w:type="first" r:id="a"/><w:headerReference w:type="default" r:id="b"/><w:footerReference r:id="c" w:type="default"/><w:footerReference r:id="d"/></w:sectPr>';
    const file = zip({
      'word/document.xml': `<w:document><w:body>${body}</w:body></w:document>`,
      'word/numbering.xml': `<w:numbering>${numbering}</w:numbering>`,
      'word/styles.xml': `<w:styles>${numbered}</w:styles>`,
      'word/_rels/document.xml.rels': ['a:header1', 'b:header2', 'c:footer1', 'd:footer2']
        .map((one) => `<Relationship Id="${one[0]}" Target="${one.slice(2)}.xml"/>`)
        .join(''),
      'word/header1.xml': `<w:hdr>${paragraph('Draft 7')}</w:hdr>`,
      'word/header2.xml': `<w:hdr>${paragraph('Draft 7')}</w:hdr>`,
      'word/footer1.xml': `<w:ftr><w:p><w:r><w:t>Lund · Page </w:t></w:r>${field('PAGE', '1')}<w:r><w:t> of </w:t></w:r>${field('NUMPAGES', '3')}</w:p></w:ftr>`,
      'word/footer2.xml': `<w:ftr><w:p><w:fldSimple w:instr=" PAGE "><w:r><w:t>1</w:t></w:r></w:fldSimple></w:p></w:ftr>`,
    });
    const document = await openTest(new File([file as Uint8Array<ArrayBuffer>], 'a.docx'));
    expect(document.text.split('\n\n')).toEqual([
      'Draft 7',
      '§ 1 Parties',
      '1. Anna',
      'a) rent',
      'b) heat',
      '(IV) gas',
      '2. Berta',
      'a) rent',
      '§ 2 Rooms',
      '2.1 Kitchen',
      'point',
      '5. later',
      'Plain',
      '40 m² of floor.',
      'Lund',
    ]);
    expect(document.outline.map(({ title }) => title)).toEqual(['§ 1 Parties', '§ 2 Rooms', 'Plain']);
  });

  test('cells of several rows and columns, and endnotes', async () => {
    const cell = (text: string, properties = ''): string =>
      `<w:tc><w:tcPr>${properties}</w:tcPr>${paragraph(text)}</w:tc>`;
    const body =
      `<w:tbl><w:tr>${cell('Meter', '<w:gridSpan w:val="2"/>')}${cell('Reading')}</w:tr>` +
      `<w:tr>${cell('Gas', '<w:vMerge w:val="restart"/>')}${cell('start')}${cell('4411')}</w:tr>` +
      `<w:tr>${cell('', '<w:vMerge/>')}${cell('end')}${cell('5120')}</w:tr></w:tbl>`;
    const file = zip({
      'word/document.xml': `<w:document><w:body>${body}</w:body></w:document>`,
      'word/endnotes.xml': `<w:endnotes><w:endnote>${paragraph('At the end.')}</w:endnote></w:endnotes>`,
    });
    const document = await openTest(new File([file as Uint8Array<ArrayBuffer>], 'a.docx'));
    expect(document.text).toBe('Meter | Meter | Reading\nGas | start | 4411\nGas | end | 5120\n\nAt the end.');
  });

  test('formats that are not read are named with what to do', async () => {
    const refused = (bytes: Uint8Array | string, name: string): Promise<unknown> =>
      openTest(new File([bytes as Uint8Array<ArrayBuffer>], name)).then(
        () => undefined,
        ({ code, message }: Error & { code: string }) => `${code} ${message}`,
      );
    expect(await refused(zip({ 'xl/workbook.xml': 'x' }), 'a.xlsx')).toMatch(/^unsupported.*workbook of Excel/);
    expect(await refused(zip({ mimetype: 'x', 'META-INF/container.xml': 'x' }), 'a.docx')).toMatch(
      /^unsupported.*EPUB/,
    );
    expect(await refused('{\\rtf1 a}', 'a.rtf')).toMatch(/^unsupported.*RTF/);
    expect(await refused('From: <Saved by Blink>\r\nContent-Type: multipart/related;\r\n', 'a.mhtml')).toMatch(
      /^unsupported.*MHTML/,
    );
    expect(
      await refused('To: A\nSubject: b\n c\nContent-Transfer-Encoding: quoted-printable\n\nM=C3=A4rz', 'a.eml'),
    ).toMatch(/^unsupported.*e-mail/);
    expect((await openTest(textFile('To: A\nSubject: dues\n\nPaid in May.', 'a.eml'))).text).toContain('Paid in May.');
  });

  test('other archives, damage and bombs are FileErrors', async () => {
    const open = (bytes: Uint8Array): ReturnType<typeof openTest> =>
      openTest(new File([bytes as Uint8Array<ArrayBuffer>], 'a.docx'));
    await expect(open(zip({ 'a.txt': 'x' }))).rejects.toMatchObject({ code: 'unsupported' });
    const whole = zip({ 'word/document.xml': 'x'.repeat(1000) });
    await expect(open(whole.slice(0, whole.length - 30))).rejects.toMatchObject({ code: 'malformed' });
    const damaged = whole.slice();
    damaged.fill(0xff, 50, 56);
    await expect(open(damaged)).rejects.toMatchObject({ code: 'malformed' });
    await expect(open(zip({ 'word/document.xml': ' '.repeat(140 << 20) }))).rejects.toMatchObject({ code: 'limit' });
  });
});

test('what a source must be', async () => {
  await expect(openTest(5 as unknown as string)).rejects.toMatchObject({ name: 'InputError', code: 'argument' });
  await expect(openTest('/nowhere/at/all.pdf')).rejects.toMatchObject({ name: 'FileError', code: 'missing' });
  await expect(openTest(textFile('x', 'a.txt'), { nam: 'x' } as object)).rejects.toThrow('nam');
  await expect(openTest(new File([Uint8Array.of(1, 0, 2)], 'a.xyz'))).rejects.toMatchObject({ code: 'unsupported' });
  const png = Uint8Array.from(Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'));
  await expect(openTest(new File([png], 'page.png'))).rejects.toThrow('give `ocr`');
});
