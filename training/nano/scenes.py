"""The pictures of nano: scenes of coloured shapes in cells, and short words; renderer and matching.

A scene is an object in some of the cells of a square grid on one ground. Everything is drawn with
integers and without antialiasing, so that another program can draw the same bytes:

* A cell is `side` x `side` pixels (16). Pixel (x, y) of a cell, both from 0, has the coordinates
  u = 2 x - side + 1 and v = 2 y - side + 1: odd integers from -15 to 15, v growing downwards.
* With a = |u| and b = |v|, the pixel belongs to
      circle    if a a + b b <= 169
      square    if a <= 11 and b <= 11
      triangle  if v <= 13 and 2 a <= v + 13          (v < -13 gives nothing: 2 a is never negative)
      star      if 2 min(a, b) + max(a, b) <= 16       (four points)
  and then has the object's colour, otherwise the ground's.
* Cells are numbered in raster order: 0 northwest, 1 northeast, 2 southwest, 3 southeast.
* A word has up to four capital letters, black, in 8x8 cells from the left in the second of the four
  rows of such cells: letter i has its 5x7 bitmap (GLYPHS) with its upper left corner at x = 8 i + 1,
  y = 8. The rest is ground.

Compact code of a scene (eval/nano.json): a list of [shape, colour, cell], indices into the world's lists.
"""

from dataclasses import dataclass, field
from random import Random

import numpy as np

from glyphs import GLYPHS

LETTER = 8  # side of a letter's cell
LETTER_ROW = 1  # row of letter cells in which a word stands


@dataclass(frozen=True)
class World:
    """What can be in a picture. Grow it here; tokens, captions and matching follow."""

    size: int = 32
    cells: int = 2
    shapes: tuple[str, ...] = ("circle", "square", "triangle", "star")
    colours: dict[str, tuple[int, int, int]] = field(default_factory=lambda: {
        "red": (220, 40, 40), "blue": (40, 80, 220), "green": (40, 170, 70),
        "yellow": (245, 205, 40), "purple": (150, 60, 190), "orange": (245, 130, 30),
    })
    grounds: dict[str, tuple[int, int, int]] = field(default_factory=lambda: {"white": (255, 255, 255)})
    positions: tuple[str, ...] = ("northwest", "northeast", "southwest", "southeast")
    held_out: tuple[tuple[str, str], ...] = (("circle", "yellow"), ("square", "purple"), ("triangle", "blue"), ("star", "green"))

    @property
    def side(self) -> int:
        return self.size // self.cells

    @property
    def colour_names(self) -> tuple[str, ...]:
        return tuple(self.colours)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """All (shape, colour) pairs as indices."""
        return [(s, c) for s in range(len(self.shapes)) for c in range(len(self.colours))]

    @property
    def held_out_pairs(self) -> frozenset[tuple[int, int]]:
        return frozenset((self.shapes.index(s), self.colour_names.index(c)) for s, c in self.held_out)


WORLD = World()


@dataclass(frozen=True, order=True)
class Object:
    cell: int
    shape: int
    colour: int

    @property
    def pair(self) -> tuple[int, int]:
        return (self.shape, self.colour)


Scene = tuple[Object, ...]  # in order of cells, one object a cell at most


def mask(shape: str, side: int = 16) -> np.ndarray:
    """The pixels of a shape in its cell: bool (side, side), by the rule at the top (scaled when side is not 16)."""
    v, u = np.meshgrid(*[2 * np.arange(side) - side + 1] * 2, indexing="ij")
    a, b, s = np.abs(u) * 16, np.abs(v) * 16, side
    match shape:
        case "circle":
            return a * a + b * b <= 169 * s * s
        case "square":
            return (a <= 11 * s) & (b <= 11 * s)
        case "triangle":
            return (16 * v <= 13 * s) & (2 * a <= 16 * v + 13 * s)
        case "star":
            return 2 * np.minimum(a, b) + np.maximum(a, b) <= 16 * s
        case _:
            raise ValueError(f"no rule for the shape {shape!r}")


def glyph(letter: str) -> np.ndarray:
    """bool (8, 8): a letter in its cell."""
    cell = np.zeros((LETTER, LETTER), bool)
    for y, row in enumerate(GLYPHS[letter].split()):
        cell[y, 1:6] = [int(row, 16) >> (4 - x) & 1 for x in range(5)]
    return cell


def render(scene: Scene, world: World = WORLD) -> np.ndarray:
    """uint8 (size, size, 3)."""
    picture = np.empty((world.size, world.size, 3), np.uint8)
    picture[:] = next(iter(world.grounds.values()))
    for o in scene:
        y, x = divmod(o.cell, world.cells)
        window = picture[y * world.side : (y + 1) * world.side, x * world.side : (x + 1) * world.side]
        window[mask(world.shapes[o.shape], world.side)] = world.colours[world.colour_names[o.colour]]
    return picture


def render_word(word: str, world: World = WORLD) -> np.ndarray:
    """uint8 (size, size, 3): up to four letters."""
    picture = render((), world)
    for i, letter in enumerate(word):
        y = LETTER * LETTER_ROW
        picture[y : y + LETTER, LETTER * i : LETTER * (i + 1)][glyph(letter)] = 0
    return picture


def draw_scene(r: Random, objects: int, world: World = WORLD, held_out: bool = False) -> Scene:
    """A scene of distinct (shape, colour) pairs; `held_out`: with one held-out pair at least, else with none."""
    kept = world.held_out_pairs
    allowed = [p for p in world.pairs if held_out or p not in kept]
    pairs = r.sample(allowed, objects)
    if held_out and objects and not kept.intersection(pairs):
        pairs[r.randrange(objects)] = r.choice(sorted(kept))
    return tuple(sorted(Object(cell, *pair) for cell, pair in zip(r.sample(range(world.cells**2), objects), pairs)))


def match(picture: np.ndarray, world: World = WORLD) -> tuple[Scene, float]:
    """The scene whose cells are nearest (squared distance) to uint8 (size, size, 3), and the largest
    root-mean-square distance, in levels, of a cell from the one it was taken for."""
    choices = [None, *world.pairs]
    templates = np.stack([
        render(() if p is None else (Object(0, *p),), world)[: world.side, : world.side] for p in choices
    ]).astype(np.int32)
    found, worst = [], 0.0
    for cell in range(world.cells**2):
        y, x = divmod(cell, world.cells)
        window = picture[y * world.side : (y + 1) * world.side, x * world.side : (x + 1) * world.side].astype(np.int32)
        distance = ((templates - window) ** 2).mean((1, 2, 3))
        best = int(distance.argmin())
        worst = max(worst, float(distance[best]) ** 0.5)
        if choices[best]:
            found.append(Object(cell, *choices[best]))
    return tuple(found), worst


def match_word(picture: np.ndarray, world: World = WORLD) -> str:
    """The letters nearest to the picture's letter cells; a blank cell gives nothing."""
    choices = ["", *GLYPHS]
    templates = np.stack([np.where(glyph(c) if c else np.zeros((LETTER, LETTER), bool), 0, 255) for c in choices])
    y, word = LETTER * LETTER_ROW, ""
    for i in range(world.size // LETTER):
        window = picture[y : y + LETTER, LETTER * i : LETTER * (i + 1)].astype(np.int32).mean(-1)
        word += choices[int(((templates - window) ** 2).mean((1, 2)).argmin())]
    return word


def code(scene: Scene) -> list[list[int]]:
    return [[o.shape, o.colour, o.cell] for o in scene]
