"""The pixels of collages, and what each 8 x 8 patch of one shows."""

import json
from pathlib import Path
from random import Random

import numpy as np

from collage import COLOURS, SHAPE_HAND, SHAPES, SIDES, SIZE, Collage, Ground, Item, Text
from drawings import WORDS
from glyphs import DIGIT_GLYPHS, GLYPHS
from variation import vary

BITS = {c: np.array([[int(row, 16) >> (4 - x) & 1 for x in range(5)] for row in rows.split()], bool) for c, rows in (GLYPHS | DIGIT_GLYPHS).items()}
PATCH = 8
LABELS = ["", *WORDS, *SHAPES, *DIGIT_GLYPHS, *GLYPHS]  # what a patch can show; "" is ground
LABEL = {name: i for i, name in enumerate(LABELS)}


class Renderer:
    """Draws collages from the folder that rasterise.mjs wrote."""

    def __init__(self, folder: Path):
        facts = json.loads((folder / "drawings.json").read_text())
        if tuple(facts["sizes"]) != SIDES:
            raise ValueError(f"{folder}: drawn at {facts['sizes']}, but collage.SIDES is {SIDES}; run rasterise.mjs again")
        self.pixels = np.memmap(folder / "drawings.bin", np.uint8, "r")
        self.starts = {side: 4 * sum(s * s for s in SIDES[:i]) for i, side in enumerate(SIDES)}
        y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
        self.x, self.y = x, y

    def render(self, c: Collage) -> np.ndarray:
        """uint8 (SIZE, SIZE, 3)."""
        return self.render_labelled(c)[0]

    def render_labelled(self, c: Collage) -> tuple[np.ndarray, np.ndarray]:
        """The picture, and for each patch the index in LABELS of what covers most of it, -1 where that is unclear: int64 (grid, grid)."""
        picture = self.ground(c.ground)
        cover = np.zeros((SIZE, SIZE), np.int16)
        for item in c.items:
            self.paste(picture, cover, item)
        if c.text is not None:
            self.print(picture, cover, c.text)
        return picture, patch_labels(cover)

    def render_texts(self, ground: Ground, texts: list[Text]) -> tuple[np.ndarray, np.ndarray]:
        """As `render_labelled`, of printed texts alone."""
        picture, cover = self.ground(ground), np.zeros((SIZE, SIZE), np.int16)
        for text in texts:
            self.print(picture, cover, text)
        return picture, patch_labels(cover)

    def sprite(self, item: Item) -> np.ndarray:
        if item.drawing.hand == SHAPE_HAND:
            return shape(item.name, COLOURS[item.drawing.colour or ""], item.side)
        start = item.drawing.offset + self.starts[item.side]
        pixels = self.pixels[start : start + 4 * item.side**2].reshape(item.side, item.side, 4)
        pixels = pixels[:, ::-1] if item.mirrored else pixels
        return pixels if item.variation is None else vary(pixels, item.variation, keep_hue=item.drawing.colour is not None)

    def paste(self, picture: np.ndarray, cover: np.ndarray, item: Item) -> None:
        sprite = self.sprite(item)
        top, left = item.y - item.side // 2, item.x - item.side // 2
        rows, columns = slice(top, top + item.side), slice(left, left + item.side)
        alpha = sprite[..., 3:].astype(np.uint16)
        window = picture[rows, columns]
        window[:] = (sprite[..., :3] * alpha + window * (255 - alpha) + 127) // 255
        cover[rows, columns][sprite[..., 3] > 127] = LABEL[item.name]

    def print(self, picture: np.ndarray, cover: np.ndarray, t: Text) -> None:
        s = t.scale
        if t.paper is not None:
            picture[t.y : t.y + t.height, t.x : t.x + t.width] = COLOURS[t.paper]
        cover[t.y : t.y + t.height, t.x : t.x + t.width] = 0
        for i, letter in enumerate(t.text):
            top, left = t.y + s, t.x + s + 6 * s * i
            bits = BITS[letter].repeat(s, 0).repeat(s, 1)
            picture[top : top + 7 * s, left : left + 5 * s][bits] = COLOURS[t.ink]
            cover[top : top + 7 * s, left : left + 5 * s] = LABEL[letter]

    def ground(self, g: Ground) -> np.ndarray:
        """Plain grounds keep their colour within a few levels; busy ones mix two softened colours."""
        r = Random(g.seed)
        one, two = (np.array(COLOURS[c], np.float32) for c in g.colours)
        if g.kind == "plain":
            shade = np.clip(one + np.array([r.uniform(-12, 12) for _ in range(3)]), 0, 255)
            return np.broadcast_to(shade.astype(np.uint8), (SIZE, SIZE, 3)).copy()
        soft = r.uniform(0.2, 0.8)  # towards white or grey
        base = np.float32(r.choice((255, 200, 120)))
        one, two = one * (1 - soft) + base * soft, two * (1 - soft) + base * soft
        period = r.uniform(8, 30)
        angle = r.uniform(0, np.pi)
        along = self.x * np.cos(angle) + self.y * np.sin(angle)
        match g.kind:
            case "stripes":
                mix = (along % period < period / 2).astype(np.float32)
            case "checks":
                mix = ((self.x // period + self.y // period) % 2).astype(np.float32)
            case "dots":
                mix = ((self.x % period - period / 2) ** 2 + (self.y % period - period / 2) ** 2 < (period * r.uniform(0.2, 0.4)) ** 2).astype(np.float32)
            case "gradient":
                mix = (along - along.min()) / (along.max() - along.min())
            case _:
                mix = clouds(g.seed, r.choice((4, 8, 16)))
        return (one * (1 - mix[..., None]) + two * mix[..., None]).astype(np.uint8)


def clouds(seed: int, cells: int) -> np.ndarray:
    """Smooth noise in 0..1: a coarse random table, interpolated."""
    table = np.random.Generator(np.random.PCG64(seed)).random((cells + 1, cells + 1), np.float32)
    at = np.arange(SIZE, dtype=np.float32) * cells / SIZE
    low, part = at.astype(int), (at % 1).astype(np.float32)
    rows = table[low] * (1 - part[:, None]) + table[low + 1] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part


def shape(name: str, colour: tuple[int, int, int], side: int) -> np.ndarray:
    """A shape with soft edges, uint8 (side, side, 4)."""
    n = 3  # samples a pixel and axis
    at = (np.arange(side * n, dtype=np.float32) + 0.5) / (side * n) * 2 - 1
    u, v = at[None, :], at[:, None]
    distance = u * u + v * v
    match name:
        case "circle":
            inside = distance <= 0.81
        case "square":
            inside = (abs(u) <= 0.78) & (abs(v) <= 0.78)
        case "triangle":
            inside = (v <= 0.85) & (2 * abs(u) <= v + 0.85)
        case "star":
            angle = np.arctan2(u, -v)
            inside = np.sqrt(distance) <= 0.62 + 0.33 * np.cos(5 * angle)
        case "diamond":
            inside = abs(u) * 1.25 + abs(v) <= 0.92
        case _:
            inside = (distance <= 0.81) & (distance >= 0.3)
    alpha = np.broadcast_to(inside, (side * n, side * n)).reshape(side, n, side, n).mean((1, 3))
    pixels = np.empty((side, side, 4), np.uint8)
    pixels[..., :3] = colour
    pixels[..., 3] = np.round(alpha * 255)
    return pixels


def patch_labels(cover: np.ndarray) -> np.ndarray:
    """The one label besides ground in each patch if it covers a fifth of it, 0 where nothing does, -1 where two share it or it covers less."""
    g = SIZE // PATCH
    patches = np.sort(cover.reshape(g, PATCH, g, PATCH).transpose(0, 2, 1, 3).reshape(g, g, -1), -1)
    top = patches[..., -1]
    least = np.where(patches > 0, patches, 32767).min(-1)
    count = (patches > 0).sum(-1)
    labels = np.where(count == 0, 0, np.where((top == least) & (count >= PATCH * PATCH // 5), top, -1))
    return labels.astype(np.int64)
