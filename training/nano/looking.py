"""What a step of looking learns from: collages, each with questions; and what one of naming does: collages with the labels of their patches.

A step of looking shows all tokens of its pictures, or a share of them, drawn at random or chosen by ToDRE's k-center: so the model
learns to answer from few, as it must where ToDRE leaves them out, and such a step costs less. What is printed is asked
only where half of the tokens are there, since the rest does not show it.

Pairs of shape and colour are held out, and a model soon knows which: it calls a purple square blue, since it saw no purple one.
Shapes without a name in every colour teach it to read a colour off any shape; and a colour that stands wrong in an answer
("a green star" where it is red), to look for the shape instead of guessing it from the colour.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image, ImageDraw

import collage
import gallery
import picture_batches as pb
import scenes
import tasks
from batches import Codec
from collage_render import Renderer, patch_labels
from english import article
from drawings import Drawing, open_library
from gallery_batches import Gallery, cover_word, from_small, render_word
from patches import to_float
from torch import Tensor
from tower import TowerConfig

COUNTS = {1: 3, 2: 3, 3: 3, 4: 2, 5: 2, 6: 2}  # items of a collage: weight
TURNS = 6
SHARES = {1.0: 3, 0.5: 2, 0.25: 3, 0.1: 3}  # of the tokens: weight, in steps
LEGIBLE = 0.5  # the share from which on printed texts are asked
SPREAD_SHARE = 0.7  # of the steps with fewer tokens: those that k-center chooses
SMALL_SHARE = 0.6  # of the pictures that are not collages: those of the small world, half of them in its own 32 pixels
WORD_SHARE, NAMELESS_SHARE = 0.25, 0.25  # of these: words; shapes without a name
SLIPS = 0.15  # of the colours in answers that stand wrong where the rest of the answer is learnt
FLICKER = 6  # levels of noise, at most, on pixels
PAGES, CROWDED = 0.65, 0.15  # of the pictures of a step of naming: printed texts alone; collages with a thing in each cell


@dataclass(frozen=True)
class Labelled:
    """A batch of naming."""

    pictures: Tensor  # (R, S, S, 3) in -1..1
    labels: Tensor  # (R, N): what each patch shows, of collage_render.LABELS; -1 where that is unclear


class Collages:
    def __init__(self, codec: Codec, folder: Path, tower: TowerConfig = TowerConfig(), enlarged: float = 0.0):
        """`enlarged`: the share of pictures that are the gallery's and the small world's, at a collage's size: what the model paints, it shall see, too."""
        self.patches, self.grid = tower.patches, tower.grid
        self.frames = {share: pb.Frames(codec, round(share * tower.patches)) for share in SHARES}
        self.library, self.renderer = open_library(folder), Renderer(folder)
        self.enlarged, self.gallery = enlarged, Gallery(folder) if enlarged else None
        self.words = tasks.Words(scenes.WORLD)
        self.colours = {codec.ids(f" {c}")[0] for c in scenes.WORLD.colours}
        self.drawn = {d.name: d for found in self.library.training.values() for d in found if d.hand == gallery.HAND}

    def draw(self, r: Random, legible: bool = True) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
        """uint8 (S, S, 3), the labels of its patches (-1: unclear), and turns of question and answer."""
        if self.gallery and r.random() < self.enlarged:
            picture, cover, turns = self.draw_small(r, legible) if r.random() < SMALL_SHARE else self.draw_gallery(r)
            scale = collage.SIZE // gallery.SIZE
            return enlarge(picture), patch_labels(cover.repeat(scale, 0).repeat(scale, 1)), turns
        c = collage.draw_collage(r, self.library, r.choices(list(COUNTS), list(COUNTS.values()))[0])
        return *self.renderer.render_labelled(c), collage.draw_questions(r, c, TURNS, legible)

    def draw_gallery(self, r: Random) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
        """The picture, what each pixel of its 64 x 64 shows, and turns."""
        scene = self.draw_scene(r)
        return self.gallery.render(scene), self.gallery.cover(scene), collage.draw_questions(r, self.as_collage(scene), TURNS)

    def draw_small(self, r: Random, legible: bool) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
        """As `draw_gallery`; the picture has 64 or 32 pixels."""
        large = r.random() < 0.5
        if legible and r.random() < WORD_SHARE:
            word = tasks.draw_word(r)
            return (render_word if large else scenes.render_word)(word), cover_word(word), pb.draw_word_turns(r, word)
        if r.random() < NAMELESS_SHARE:
            picture, turns = draw_nameless(r)
            return picture, np.zeros(picture.shape[:2], np.int16), turns
        scene = () if r.random() < pb.EMPTY_SEE else scenes.draw_scene(r, r.randint(1, 3))
        shown = from_small(scene)
        return self.gallery.render(shown) if large else scenes.render(scene), self.gallery.cover(shown), pb.draw_turns(r, self.words, scene)

    def draw_scene(self, r: Random) -> gallery.Scene:
        """Of the gallery, with drawings that are not held out of looking."""
        while True:
            scene = gallery.draw_scene(r, r.randint(1, 3))
            if all(t.colour or t.name in self.drawn for _, t in scene.things):
                return scene

    def as_collage(self, scene: gallery.Scene) -> collage.Collage:
        side = collage.SIZE // gallery.CELLS
        items = [
            collage.Item(Drawing(t.name, collage.SHAPE_HAND, t.colour) if t.colour else self.drawn[t.name], side,
                         side // 2 + side * (cell % gallery.CELLS), side // 2 + side * (cell // gallery.CELLS))
            for cell, t in scene.things
        ]
        return collage.Collage(collage.Ground("plain", (scene.ground, scene.ground), 0), tuple(items))

    def batch(self, r: Random, rows: int) -> pb.Questions:
        share = r.choices(list(SHARES), list(SHARES.values()))[0]
        frames = self.frames[share]
        made = [self.draw(r, share >= LEGIBLE) for _ in range(rows)]
        pictures = flickering(r, np.stack([p for p, _, _ in made]))
        batch = pb.packed(frames.codec, [(frames.see(turns[0][0]), turns) for _, _, turns in made], pictures)
        length = max(map(len, batch.rows))
        for at, token in zip(batch.answers.tolist(), batch.targets.tolist()):
            if token in self.colours and r.random() < SLIPS:
                batch.rows[at // length][at % length + 1] = r.choice(sorted(self.colours))
        batch = replace(batch, labels=torch.from_numpy(np.stack([labels for _, labels, _ in made])).reshape(rows, -1).long())
        if share < 1 and r.random() < SPREAD_SHARE:
            return replace(batch, kept=frames.placeholders)
        return replace(batch, kept=torch.tensor([sorted(r.sample(range(self.patches), frames.placeholders)) for _ in range(rows)]))


    def labelled(self, r: Random, rows: int) -> Labelled:
        made = []
        for _ in range(rows):
            kind = r.random()
            if kind < PAGES:
                made.append(self.renderer.render_texts(collage.draw_ground(r), collage.draw_texts(r)))
            else:
                count = collage.CELLS**2 if kind < PAGES + CROWDED else r.choices(list(COUNTS), list(COUNTS.values()))[0]
                made.append(self.renderer.render_labelled(collage.draw_collage(r, self.library, count)))
        return Labelled(flickering(r, np.stack([p for p, _ in made])), torch.from_numpy(np.stack([labels for _, labels in made])).reshape(rows, -1).long())


def draw_nameless(r: Random) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """One to three shapes that are none of the small world's, on white: uint8 (64, 64, 3), and questions about their colours and number."""
    side, world = gallery.SIZE // gallery.CELLS, scenes.WORLD
    image = Image.new("RGB", (gallery.SIZE, gallery.SIZE), "white")
    pen, cells = ImageDraw.Draw(image), sorted(r.sample(range(gallery.CELLS**2), r.randint(1, 3)))
    found = [r.choice(world.colour_names) for _ in cells]
    for cell, colour in zip(cells, found):
        x, y = (side * at + side / 2 for at in (cell % gallery.CELLS, cell // gallery.CELLS))
        pen.polygon(nameless(r, x, y, side / 2 - 2), world.colours[colour])
    turns: dict[str, str] = {}
    while len(turns) < min(pb.TURNS, 2 + len(cells)):
        cell, colour = r.choice([*zip(cells, found)])
        asked = r.choice(world.colour_names)
        turns.setdefault(*r.choice((
            (r.choice(("What colour is the shape in the {p}?", "Which colour is in the {p}?")).format(p=world.positions[cell]), colour),
            (r.choice(("How many shapes are there?", "How many shapes are in the picture?")), tasks.COUNTS[len(cells)]),
            (f"How many {asked} shapes are there?", tasks.COUNTS[found.count(asked)]),
            (f"Is there {article(asked)} shape?", "yes" if asked in found else "no"),
        )))
    return np.asarray(image), list(turns.items())


def nameless(r: Random, x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """The corners of an oval, an oblong, a cross or a ragged shape around a point."""
    turn = r.uniform(0, math.pi)

    def at(angle: float, length: float, squeezed: float = 1.0) -> tuple[float, float]:
        u, v = length * math.cos(angle), squeezed * length * math.sin(angle)
        return x + u * math.cos(turn) - v * math.sin(turn), y + u * math.sin(turn) + v * math.cos(turn)

    match r.randrange(4):
        case 0:
            thin = r.uniform(0.35, 0.65)
            return [at(math.tau * i / 24, radius, thin) for i in range(24)]
        case 1:
            corner = r.uniform(0.3, 0.55)
            return [at(angle, radius) for angle in (corner, math.pi - corner, math.pi + corner, -corner)]
        case 2:
            return [at(math.pi / 4 * (2 * i + j) + 0.3 * k, radius * (0.45 if j else 1)) for i in range(4) for j, k in ((0, -1), (0, 1), (1, 0))]
        case _:
            corners = r.randint(5, 8)
            return [at(math.tau * (i + r.uniform(-0.3, 0.3)) / corners, radius * r.uniform(0.35, 1)) for i in range(corners)]


def flickering(r: Random, pictures: np.ndarray) -> Tensor:
    """uint8 (R, S, S, 3) to -1..1, each with noise of a strength of its own."""
    exact, noise = to_float(pictures), torch.Generator().manual_seed(r.getrandbits(62))
    return exact + torch.randn(exact.shape, generator=noise) * torch.rand((len(exact), 1, 1, 1), generator=noise) * (FLICKER / 127.5)


def enlarge(picture: np.ndarray) -> np.ndarray:
    """uint8 (S, S, 3) at a collage's size, bicubic, as the SDK enlarges pictures for the tower."""
    return np.asarray(Image.fromarray(picture).resize((collage.SIZE, collage.SIZE), Image.Resampling.BICUBIC))
