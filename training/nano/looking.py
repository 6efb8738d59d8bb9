"""What a step of looking learns from: collages, each with questions; and what one of naming does: collages with the labels of their patches.

A step of looking shows all tokens of its pictures, or a share of them, drawn at random or chosen by ToDRE's k-center: so the model
learns to answer from few, as it must where ToDRE leaves them out, and such a step costs less. What is printed is asked
only where half of the tokens are there, since the rest does not show it.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image

import collage
import gallery
import picture_batches as pb
import scenes
import tasks
from batches import Codec
from collage_render import Renderer, patch_labels
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
WORD_SHARE = 0.25  # of these: words
FLICKER = 6  # levels of noise, at most, on pixels
PAGES, CROWDED = 0.5, 0.2  # of the pictures of a step of naming: printed texts alone; collages with a thing in each cell


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


def flickering(r: Random, pictures: np.ndarray) -> Tensor:
    """uint8 (R, S, S, 3) to -1..1, each with noise of a strength of its own."""
    exact, noise = to_float(pictures), torch.Generator().manual_seed(r.getrandbits(62))
    return exact + torch.randn(exact.shape, generator=noise) * torch.rand((len(exact), 1, 1, 1), generator=noise) * (FLICKER / 127.5)


def enlarge(picture: np.ndarray) -> np.ndarray:
    """uint8 (S, S, 3) at a collage's size, bicubic, as the SDK enlarges pictures for the tower."""
    return np.asarray(Image.fromarray(picture).resize((collage.SIZE, collage.SIZE), Image.Resampling.BICUBIC))
