// The pictures of nano's world, twin of training/nano/scenes.py: pixel for pixel the same (test/eval/nano.test.ts compares), and reading them back.

/** [shape, colour, cell] of every object: 'scc' digits an object. */
export const decode = (code) =>
  Array.from({ length: code.length / 3 }, (_, i) => [...code.slice(3 * i, 3 * i + 3)].map(Number));
export const encode = (objects) => objects.map((o) => o.join('')).join('');

const RULES = {
  circle: (u, v) => u * u + v * v <= 169,
  square: (u, v) => Math.abs(u) <= 11 && Math.abs(v) <= 11,
  triangle: (u, v) => v <= 13 && 2 * Math.abs(u) <= v + 13,
  star: (u, v) => 2 * Math.min(Math.abs(u), Math.abs(v)) + Math.max(Math.abs(u), Math.abs(v)) <= 16,
};
const LETTER = 8;

export class Scenes {
  constructor(world) {
    this.world = world;
    this.side = world.size / world.cells;
    this.colours = Object.keys(world.colours);
    if (this.side !== 16) throw new Error(`cells of ${this.side} pixels; the rules are for 16`);
  }

  /** RGBA of a scene given as [shape, colour, cell] triples, its pixels as squares of `scale` by `scale`. */
  render(objects, scale = 1) {
    const { size, cells, ground, shapes, colours } = this.world;
    const picture = blank(size, ground);
    for (const [shape, colour, cell] of objects) {
      const inside = RULES[shapes[shape]];
      const rgb = colours[this.colours[colour]];
      const left = (cell % cells) * this.side;
      const top = Math.floor(cell / cells) * this.side;
      for (let y = 0; y < this.side; y += 1) {
        for (let x = 0; x < this.side; x += 1) {
          if (inside(2 * x - this.side + 1, 2 * y - this.side + 1))
            picture.data.set(rgb, 4 * ((top + y) * size + left + x));
        }
      }
    }
    return enlarged(picture, scale);
  }

  renderWord(word, scale = 1) {
    const { size, ground } = this.world;
    const picture = blank(size, ground);
    for (const [index, letter] of [...word].entries()) {
      for (const [x, y] of this.#dots(letter))
        picture.data.set([0, 0, 0], 4 * ((LETTER + y) * size + LETTER * index + x));
    }
    return enlarged(picture, scale);
  }

  /** The scene whose cells, enlarged to the picture's size, are nearest to the picture's (squared distance), in order of cells. */
  read({ data, width }) {
    const { cells, size } = this.world;
    const scale = width / size;
    if (!Number.isInteger(scale)) throw new Error(`a picture of ${width} pixels is no multiple of ${size}`);
    const side = scale * this.side;
    this.templates ??= [undefined, ...this.world.shapes.flatMap((_, s) => this.colours.map((__, c) => [s, c]))].map(
      (pair) => ({
        pair,
        picture: this.render(pair === undefined ? [] : [[...pair, 0]]),
      }),
    );
    const found = [];
    for (let cell = 0; cell < cells * cells; cell += 1) {
      const left = (cell % cells) * side;
      const top = Math.floor(cell / cells) * side;
      let best = Infinity;
      let nearest;
      for (const { pair, picture } of this.templates) {
        let sum = 0;
        for (let y = 0; y < side && sum < best; y += 1) {
          for (let x = 0; x < side; x += 1) {
            const a = 4 * ((top + y) * width + left + x);
            const b = 4 * (Math.floor(y / scale) * picture.width + Math.floor(x / scale));
            for (let k = 0; k < 3; k += 1) sum += (data[a + k] - picture.data[b + k]) ** 2;
          }
        }
        if (sum < best) [best, nearest] = [sum, pair];
      }
      if (nearest !== undefined) found.push([...nearest, cell]);
    }
    return found;
  }

  #dots(letter) {
    const rows = this.world.glyphs[letter].split(' ').map((row) => parseInt(row, 16));
    return rows.flatMap((bits, y) => [0, 1, 2, 3, 4].filter((x) => (bits >> (4 - x)) & 1).map((x) => [x + 1, y]));
  }
}

function blank(size, [r, g, b]) {
  const data = new Uint8ClampedArray(4 * size * size);
  for (let i = 0; i < data.length; i += 4) data.set([r, g, b, 255], i);
  return { data, width: size, height: size };
}

function enlarged(picture, scale) {
  if (scale === 1) return picture;
  const width = scale * picture.width;
  const data = new Uint8ClampedArray(4 * width * width);
  for (let y = 0; y < width; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const from = 4 * (Math.floor(y / scale) * picture.width + Math.floor(x / scale));
      data.set(picture.data.subarray(from, from + 4), 4 * (y * width + x));
    }
  }
  return { data, width, height: width };
}

/** Whether two scenes hold the same objects, in whatever order. */
export const same = (a, b) => encode([...a].sort(byCell)) === encode([...b].sort(byCell));
const byCell = (a, b) => a[2] - b[2];
