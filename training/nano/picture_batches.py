"""Pictures and their words as tensors: what a joint step of painting, editing or seeing learns from.

Pictures never pass the pixels here: a patch's tokens depend on the patch alone, so a table of the tokens
of every object in a cell (and of every letter) makes a picture by looking up.
"""

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor

import scenes
import tasks
from batches import Codec
from patches import LETTER_GRID, Patches, to_float
from scenes import Object, Scene, World

# From this share of the run on: {objects in a picture: weight}.
OBJECTS = [(0.00, {1: 1}), (0.27, {1: 2, 2: 4}), (0.36, {1: 1, 2: 3, 3: 3}), (0.50, {1: 2, 2: 4, 3: 5})]
ALIASES_FROM, ALIASES = 0.45, 0.08
DROP = 0.1  # of prompts, for guidance
BARE, WORD_PAINT, WORD_SEE, EMPTY_SEE = 0.04, 0.07, 0.12, 0.02
TURNS = 5  # questions a picture
NOISE = 0.12  # deviation, at most, of what is added to the tokens of pictures that are given


class Frames:
    """Prompts as ids, in nano's chat frame."""

    def __init__(self, codec: Codec, placeholders: int):
        self.codec, self.placeholders = codec, placeholders
        self.image = "<image>" * placeholders

    def user(self, text: str) -> list[int]:
        return self.codec.ids(f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n")

    def paint(self, prompt: str | None) -> list[int]:
        return self.user("Generate an image." if prompt is None else f"Generate an image: {prompt}")

    def edit(self, instruction: str | None) -> list[int]:
        return self.user(self.image + "\n" + (instruction or "Repeat this image."))

    def see(self, question: str) -> list[int]:
        return self.user(f"{self.image}\n{question}")


class Table:
    """Tokens of pictures by looking up; `tokens(...)` gives (N, C) and `filled(...)` which tokens are not ground."""

    def __init__(self, vae: Patches, world: World = scenes.WORLD):
        self.world = world
        self.grid = world.size // scenes.LETTER
        self.part = self.grid // world.cells  # tokens a cell's side
        with torch.no_grad():
            pictures = [scenes.render((), world)] + [scenes.render((Object(0, *p),), world) for p in world.pairs]
            cells = vae.encode(to_float(np.stack(pictures))).reshape(len(pictures), self.grid, self.grid, -1)
            self.cells = cells[:, : self.part, : self.part]  # (1 + pairs, part, part, C)
            letters = vae.encode(to_float(np.stack([scenes.render_word(x) for x in scenes.GLYPHS])))
            self.letters = letters[:, LETTER_GRID[0]]  # (26, C)
        self.pair = {p: i + 1 for i, p in enumerate(world.pairs)}

    def scene(self, scene: Scene) -> Tensor:
        picture = self.cells[0, 0, 0].expand(self.grid, self.grid, -1).clone()
        for o in scene:
            y, x = divmod(o.cell, self.world.cells)
            picture[y * self.part : (y + 1) * self.part, x * self.part : (x + 1) * self.part] = self.cells[self.pair[o.pair]]
        return picture.reshape(self.grid**2, -1)

    def word(self, word: str) -> Tensor:
        picture = self.scene(())
        for i, letter in enumerate(word):
            picture[LETTER_GRID[i]] = self.letters[ord(letter) - 65]
        return picture


@dataclass(frozen=True)
class Pictures:
    """A batch of painting or editing."""

    prompts: list[list[int]]
    target: Tensor  # (R, N, C)
    source: Tensor | None  # (R, N, C) in editing
    weight: Tensor  # (R, N): 3 on objects and on what changes, else 1


@dataclass(frozen=True)
class Questions:
    """A batch of seeing: rows of ids with placeholders; several questions a picture, a turn each."""

    rows: list[list[int]]
    pictures: Tensor  # (R, N, C) for the MAR encoder, or (R, S, S, 3) in -1..1 for the tower
    answers: Tensor  # (A,) flat positions, in rows padded to the longest, whose next token is part of an answer
    targets: Tensor  # (A,)
    labels: Tensor | None = None  # (R, N): what each patch shows, of collage_render.LABELS; -1 where that is unclear
    kept: Tensor | int | None = None  # (R, K): tokens of the tower that have placeholders; a number: so many, by k-center; None for the MAR encoder, where all have


def objects_at(r: Random, progress: float) -> int:
    table = [t for start, t in OBJECTS if progress >= start][-1]
    return r.choices(list(table), list(table.values()))[0]


def noised(tokens: Tensor) -> Tensor:
    return tokens + torch.randn_like(tokens) * torch.rand(len(tokens), 1, 1) * NOISE


def weights(target: Tensor, source: Tensor | None, blank: Tensor) -> Tensor:
    """(R, N): 3 where the target is not ground or differs from the source."""
    marked = (target - blank).abs().sum(-1) > 1e-3
    if source is not None:
        marked |= (target - source).abs().sum(-1) > 1e-3
    return 1 + 2 * marked.float()


def draw_word_prompt(r: Random, word: str) -> str:
    return r.choice(("the word {w}", "a picture with the word {w}", "a picture that says {w}")).format(w=word)


def draw_word_turns(r: Random, word: str) -> list[tuple[str, str]]:
    turns = [(r.choice(tasks.READ), word), (r.choice(tasks.DESCRIBE), f"the word {word}")]
    r.shuffle(turns)
    return turns


def painting(r: Random, frames: Frames, table: Table, progress: float, rows: int) -> Pictures:
    words = tasks.Words(table.world, ALIASES if progress >= ALIASES_FROM else 0)
    prompts, target = [], []
    for _ in range(rows):
        if r.random() < WORD_PAINT and progress >= 0.1:
            word = tasks.draw_word(r)
            prompt = draw_word_prompt(r, word)
            target.append(table.word(word))
        else:
            scene = scenes.draw_scene(r, objects_at(r, progress), table.world)
            prompt = words.caption(r, scene, bare=len(scene) == 1 and r.random() < BARE)
            target.append(table.scene(scene))
        prompts.append(frames.paint(None if r.random() < DROP else prompt))
    stacked = torch.stack(target)
    return Pictures(prompts, stacked, None, weights(stacked, None, table.cells[0, 0, 0]))


def editing(r: Random, frames: Frames, table: Table, progress: float, rows: int, kinds: dict[str, int] = tasks.EDITS) -> Pictures:
    words = tasks.Words(table.world, ALIASES if progress >= ALIASES_FROM else 0)
    prompts, before, after = [], [], []
    for _ in range(rows):
        scene, instruction, result = tasks.draw_edit(r, words, objects_at(r, progress), kinds)
        dropped = r.random() < DROP
        prompts.append(frames.edit(None if dropped else instruction))
        before.append(table.scene(scene))
        after.append(table.scene(scene if dropped else result))
    source, target = torch.stack(before), torch.stack(after)
    return Pictures(prompts, target, noised(source), weights(target, source, table.cells[0, 0, 0]))


def packed(codec: Codec, dialogues: list[tuple[list[int], list[tuple[str, str]]]], pictures: Tensor) -> Questions:
    """Rows of ids from (the ids up to the first answer, turns of question and answer)."""
    lines: list[list[int]] = []
    spans: list[list[tuple[int, int]]] = []
    for first, turns in dialogues:
        ids: list[int] = []
        where: list[tuple[int, int]] = []
        for question, answer in turns:
            ids += codec.next_turn(question) if ids else first
            reply = codec.answer(answer)
            where += [(len(ids) - 1 + i, token) for i, token in enumerate(reply)]
            ids += reply
        lines.append(ids)
        spans.append(where)
    t = max(map(len, lines))
    flat = [(row * t + at, token) for row, where in enumerate(spans) for at, token in where]
    at, token = zip(*flat)
    return Questions(lines, pictures, torch.tensor(at), torch.tensor(token))


def seeing(r: Random, frames: Frames, table: Table, progress: float, rows: int) -> Questions:
    words = tasks.Words(table.world)
    dialogues, pictures = [], []
    for _ in range(rows):
        if r.random() < WORD_SEE and progress >= 0.1:
            word = tasks.draw_word(r)
            pictures.append(table.word(word))
            turns = draw_word_turns(r, word)
        else:
            scene = () if r.random() < EMPTY_SEE else scenes.draw_scene(r, objects_at(r, 3 * progress), table.world)  # seeing is learnt sooner
            pictures.append(table.scene(scene))
            turns = draw_turns(r, words, scene)
        dialogues.append((frames.see(turns[0][0]), turns))
    return packed(frames.codec, dialogues, noised(torch.stack(pictures)))


def draw_turns(r: Random, words: tasks.Words, scene: Scene) -> list[tuple[str, str]]:
    """TURNS questions about a scene of the small world, with their answers."""
    turns: list[tuple[str, str]] = []
    while len(turns) < TURNS:
        kind = r.choices(list(tasks.QUESTIONS), list(tasks.QUESTIONS.values()))[0]
        if made := words.question(r, scene, kind):
            turns.append(made)
    return turns
