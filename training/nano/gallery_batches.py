"""The gallery's pictures as pixels and as tokens, and what a step of painting or editing them learns from.

As in picture_batches.py pictures pass no pixels in training: the tokens of every thing on every ground are looked up.
"""

from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor

import gallery
import picture_batches as pb
import scenes
import tasks
from collage import Item
from collage_render import LABEL, Renderer
from drawings import Drawing, open_library
from gallery import GROUNDS, THINGS, Scene, Thing
from patches import Patches, to_float

SIDE = gallery.SIZE // gallery.CELLS  # of a cell, in pixels
SMALL_SHARE = 0.2  # of paintings and edits that are the small world's, in its words
# From this share of the run on: {things in a picture: weight}.
THINGS_AT = [(0.00, {1: 1}), (0.30, {1: 2, 2: 4}), (0.45, {1: 2, 2: 4, 3: 4})]


class Gallery:
    """Draws scenes from the folder that rasterise.mjs wrote. Another `hand` than the gallery's may lack some things."""

    def __init__(self, folder: Path, hand: str = gallery.HAND):
        renderer, self.hand = Renderer(folder), hand
        drawn: dict[str, Drawing] = {d.name: d for d in open_library(folder).every() if d.hand == hand}
        self.templates: dict[str, np.ndarray] = {}
        shown = [t for t in THINGS if t.colour or t.name in drawn or hand == gallery.HAND]
        self.sprites = {t: shape(t) if t.colour else np.array(renderer.sprite(Item(drawn[t.name], SIDE, 0, 0))) for t in shown}

    def cell(self, thing: Thing | None, ground: str) -> np.ndarray:
        """uint8 (SIDE, SIDE, 3)."""
        empty = np.full((SIDE, SIDE, 3), GROUNDS[ground], np.uint8)
        return empty if thing is None else on_ground(self.sprites[thing], empty)

    def render(self, scene: Scene) -> np.ndarray:
        """uint8 (64, 64, 3)."""
        picture = np.tile(self.cell(None, scene.ground), (gallery.CELLS, gallery.CELLS, 1))
        for cell, thing in scene.things:
            y, x = divmod(cell, gallery.CELLS)
            picture[y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE] = self.cell(thing, scene.ground)
        return picture

    def cover(self, scene: Scene) -> np.ndarray:
        """What each pixel of the scene's picture shows, of collage_render.LABEL: int16 (64, 64)."""
        cover = np.zeros((gallery.SIZE, gallery.SIZE), np.int16)
        for cell, thing in scene.things:
            y, x = divmod(cell, gallery.CELLS)
            cover[y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE][self.sprites[thing][..., 3] > 127] = LABEL[thing.name]
        return cover

    def match(self, picture: np.ndarray) -> Scene:
        """The scene nearest to a picture: its ground by its outermost pixels, each cell's thing by the squared distance."""
        edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]).astype(np.int32)
        ground = min(GROUNDS, key=lambda g: int(np.median(((edge - GROUNDS[g]) ** 2).sum(-1))))
        choices: list[Thing | None] = [None, *THINGS]
        if ground not in self.templates:
            self.templates[ground] = np.stack([self.cell(t, ground) for t in choices]).astype(np.int32)
        found = []
        for cell in range(gallery.CELLS**2):
            y, x = divmod(cell, gallery.CELLS)
            window = picture[y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE].astype(np.int32)
            best = choices[int(((self.templates[ground] - window) ** 2).mean((1, 2, 3)).argmin())]
            if best:
                found.append((cell, best))
        return Scene(ground, tuple(found))


def on_ground(sprite: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """uint8: a drawing with alpha over pixels of its size."""
    alpha = sprite[..., 3:].astype(np.uint16)
    return ((sprite[..., :3] * alpha + ground * (255 - alpha) + 127) // 255).astype(np.uint8)


def shape(thing: Thing) -> np.ndarray:
    """A shape of the small world, enlarged twice: uint8 (SIDE, SIDE, 4)."""
    inside = scenes.mask(thing.name, SIDE // 2).repeat(2, 0).repeat(2, 1)
    pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
    pixels[..., :3] = scenes.WORLD.colours[thing.colour or ""]
    pixels[..., 3] = 255 * inside
    return pixels


def from_small(scene: scenes.Scene) -> Scene:
    """The gallery's picture of a scene of the small world."""
    shapes, colours = scenes.WORLD.shapes, scenes.WORLD.colour_names
    return Scene("white", tuple((o.cell, Thing(shapes[o.shape], colours[o.colour])) for o in scene))


def render_word(word: str) -> np.ndarray:
    """uint8 (64, 64, 3): a word of the small world, enlarged twice."""
    return scenes.render_word(word).repeat(2, 0).repeat(2, 1)


def cover_word(word: str) -> np.ndarray:
    """As `Gallery.cover`, of `render_word`."""
    cover = np.zeros((gallery.SIZE, gallery.SIZE), np.int16)
    top, side = 2 * scenes.LETTER * scenes.LETTER_ROW, 2 * scenes.LETTER
    for i, letter in enumerate(word):
        cover[top : top + 14, side * i + 2 : side * i + 12] = LABEL[letter]  # 5 x 7 dots of two pixels, after one that is empty
    return cover


class Table:
    """Tokens of pictures by looking up: for each ground and thing (0: none) those of a cell, (grounds, 1 + things, part, part, C); and of letters."""

    def __init__(self, vae: Patches, folder: Path):
        drawn = Gallery(folder)
        self.grid = gallery.SIZE // 8
        self.part = self.grid // gallery.CELLS
        with torch.no_grad():
            self.cells = torch.stack([
                vae.encode(to_float(np.stack([drawn.cell(t, g) for t in (None, *THINGS)]))).reshape(1 + len(THINGS), self.part, self.part, -1)
                for g in GROUNDS
            ])
            at, side = 2 * scenes.LETTER_ROW, 2 * scenes.LETTER // 8  # of a letter's first row and its sides, in tokens
            alphabet = vae.encode(to_float(np.stack([render_word(x) for x in scenes.GLYPHS])))
            self.letters = alphabet.reshape(len(alphabet), self.grid, self.grid, -1)[:, at : at + side, :side]
        self.ground = {g: i for i, g in enumerate(GROUNDS)}
        self.thing = {t: i + 1 for i, t in enumerate(THINGS)}

    def scene(self, scene: Scene) -> tuple[Tensor, Tensor]:
        """(N, C), and which tokens are not ground: bool (N,)."""
        cells, p = self.cells[self.ground[scene.ground]], self.part
        tokens = cells[0].repeat(gallery.CELLS, gallery.CELLS, 1)
        filled = torch.zeros(self.grid, self.grid, dtype=torch.bool)
        for cell, thing in scene.things:
            y, x = divmod(cell, gallery.CELLS)
            here = slice(y * p, (y + 1) * p), slice(x * p, (x + 1) * p)
            tokens[here] = cells[self.thing[thing]]
            filled[here] = (cells[self.thing[thing]] - cells[0]).abs().sum(-1) > 1e-3
        return tokens.reshape(self.grid**2, -1), filled.reshape(-1)

    def word(self, word: str) -> tuple[Tensor, Tensor]:
        """As `scene`."""
        tokens, filled = (x.reshape(self.grid, self.grid, -1) for x in self.scene(Scene("white", ())))
        at, side = 2 * scenes.LETTER_ROW, self.letters.shape[1]
        for i, letter in enumerate(word):
            here = slice(at, at + side), slice(i * side, (i + 1) * side)
            tokens[here] = self.letters[ord(letter) - 65]
            filled[here] = True
        return tokens.reshape(self.grid**2, -1), filled.reshape(-1)


def count_at(r: Random, progress: float) -> int:
    table = [t for start, t in THINGS_AT if progress >= start][-1]
    return r.choices(list(table), list(table.values()))[0]


def draw_painting(r: Random, table: Table, words: tasks.Words, count: int) -> tuple[str, Tensor, Tensor]:
    """A prompt, the tokens of its picture, and which of them are not ground."""
    kind = r.random()
    if kind < pb.WORD_PAINT:
        word = tasks.draw_word(r)
        return pb.draw_word_prompt(r, word), *table.word(word)
    if kind < pb.WORD_PAINT + SMALL_SHARE:
        small = scenes.draw_scene(r, count)
        return words.caption(r, small, bare=count == 1 and r.random() < pb.BARE), *table.scene(from_small(small))
    scene = gallery.draw_scene(r, count)
    return gallery.caption(r, scene), *table.scene(scene)


def painting(r: Random, frames: pb.Frames, table: Table, progress: float, rows: int) -> pb.Pictures:
    words = tasks.Words(scenes.WORLD, pb.ALIASES)
    prompts, tokens, filled = zip(*(draw_painting(r, table, words, count_at(r, progress)) for _ in range(rows)))
    framed = [frames.paint(None if r.random() < pb.DROP else prompt) for prompt in prompts]
    return pb.Pictures(framed, torch.stack(tokens), None, 1 + 2 * torch.stack(filled).float())


def draw_edit(r: Random, words: tasks.Words, count: int) -> tuple[Scene, str, Scene]:
    if r.random() >= SMALL_SHARE:
        return gallery.draw_edit(r, count)
    scene, instruction, result = tasks.draw_edit(r, words, count)
    return from_small(scene), instruction, from_small(result)


def editing(r: Random, frames: pb.Frames, table: Table, progress: float, rows: int) -> pb.Pictures:
    words = tasks.Words(scenes.WORLD, pb.ALIASES)
    prompts, before, after, weight = [], [], [], []
    for _ in range(rows):
        scene, instruction, result = draw_edit(r, words, count_at(r, progress))
        dropped = r.random() < pb.DROP
        prompts.append(frames.edit(None if dropped else instruction))
        source, _ = table.scene(scene)
        target, filled = table.scene(scene if dropped else result)
        before.append(source)
        after.append(target)
        weight.append(1 + 2 * (filled | ((target - source).abs().sum(-1) > 1e-3)).float())
    return pb.Pictures(prompts, torch.stack(after), pb.noised(torch.stack(before)), torch.stack(weight))
