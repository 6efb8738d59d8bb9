// A horizontal bar chart as SVG, without a library: the figures are few.
const COLOURS = { octavo: '#2b6cb0', wllama: '#a0aec0', 'llama.cpp': '#4a5568' };
const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

export function barChart(title, bars) {
  const left = 260;
  const width = 460;
  const height = 22;
  const most = Math.max(...bars.map((b) => b.value));
  const rows = bars.map((bar, i) => {
    const y = 40 + i * height;
    const w = Math.max(1, (bar.value / most) * width);
    return `<text x="${left - 8}" y="${y + 14}" text-anchor="end">${escape(bar.label)}</text><rect x="${left}" y="${y + 3}" width="${w.toFixed(1)}" height="${height - 6}" fill="${COLOURS[bar.group] ?? '#718096'}"/><text x="${(left + w + 6).toFixed(1)}" y="${y + 14}">${bar.value.toFixed(1)}</text>`;
  });
  const total = 50 + bars.length * height;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${left + width + 70}" height="${total}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/><text x="12" y="22" font-size="15">${escape(title)}</text>${rows.join('')}</svg>\n`;
}
