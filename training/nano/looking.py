"""What a step of looking learns from: collages, and pictures of the small world enlarged, each with questions.

The tower sees every picture at its own size, so the small world's 32 x 32 pixels are enlarged as the engines do it (bicubic).
"""

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image

import collage
import picture_batches as pb
import scenes
import tasks
from batches import Codec
from collage_render import Renderer
from drawings import open_library
from patches import to_float
from tower import TowerConfig
from unipic import IMAGE_TOKEN

COUNTS = {1: 3, 2: 3, 3: 3, 4: 2, 5: 2, 6: 2}  # items of a collage: weight
SMALL_WORLD, SMALL_WORD = 0.12, 0.35  # of pictures; and of these, those of a word
TURNS = 6
THINNED, SHARES = 0.4, (0.5, 0.25, 0.1, 0.05)  # of pictures, those of which some tokens are left out; and what is left
FLICKER = 6  # levels of noise, at most, on pixels


class Collages:
    def __init__(self, codec: Codec, folder: Path, tower: TowerConfig = TowerConfig()):
        self.frames = pb.Frames(codec, tower.patches)
        self.size = tower.image_size
        self.library, self.renderer = open_library(folder), Renderer(folder)
        self.words = tasks.Words()

    def draw(self, r: Random) -> tuple[np.ndarray, list[tuple[str, str]]]:
        """uint8 (S, S, 3), and turns of question and answer."""
        if r.random() >= SMALL_WORLD:
            c = collage.draw_collage(r, self.library, r.choices(list(COUNTS), list(COUNTS.values()))[0])
            return self.renderer.render(c), collage.draw_questions(r, c, TURNS)
        if r.random() < SMALL_WORD:
            word = tasks.draw_word(r)
            return enlarged(scenes.render_word(word), self.size), [(r.choice(tasks.READ), word), (r.choice(tasks.DESCRIBE), f"the word {word}")]
        scene = scenes.draw_scene(r, r.choice((0, 1, 2, 2, 3, 3, 4)))
        return enlarged(scenes.render(scene), self.size), pb.draw_turns(r, self.words, scene)

    def batch(self, r: Random, rows: int) -> pb.Questions:
        made = [self.draw(r) for _ in range(rows)]
        pictures = to_float(np.stack([p for p, _ in made]))
        noise = torch.Generator().manual_seed(r.getrandbits(62))
        pictures = pictures + torch.randn(pictures.shape, generator=noise) * torch.rand((rows, 1, 1, 1), generator=noise) * (FLICKER / 127.5)
        batch = pb.packed(self.frames.codec, [(self.frames.see(turns[0][0]), turns) for _, turns in made], pictures)
        return replace(batch, unseen=thinned(r, batch.rows))


def thinned(r: Random, rows: list[list[int]]) -> torch.Tensor:
    """Which tokens of each row's picture are left out: none, or all but a share drawn at random (R, T)."""
    unseen = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.bool)
    for row, ids in zip(unseen, rows):
        if r.random() < THINNED:
            places = [i for i, token in enumerate(ids) if token == IMAGE_TOKEN]
            row[r.sample(places, round(len(places) * (1 - r.choice(SHARES))))] = True
    return unseen


def enlarged(picture: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC))
