"""Write eval/nano.json: the held-out items on which nano's picture tasks are scored, by any engine.

    python heldout.py                                   # ../../eval/nano.json
    python heldout.py --documents ../runs/documents.json # the documents of evaluate.py as text (10 MB, not committed)

Every scene (in editing: source or result) has a held-out (shape, colour) pair; every word is one that
training never drew. A scene is a string of three digits an object: shape, colour, cell, indices into
`world`. How to draw it: scenes.py, whose rules `world.rules` repeats; `pictures` has eight for a test (base64
of zlib-deflated RGB rows).
"""

import argparse
import base64
import json
import zlib
from pathlib import Path
from random import Random

import numpy as np

import scenes
import tasks
from scenes import WORLD, Object, Scene

OUT = Path(__file__).parents[2] / "eval/nano.json"
SEE = {"colour": 150, "shape": 150, "count": 150, "existence": 150, "position": 500, "describe": 500}
EDIT = {"recolour": 250, "remove": 250, "move": 250, "add": 250}
PAINT = {"one": 500, "two": 500, "three": 500}
WORDS = 100
RULES = {
    "coordinates": "pixel (x, y) of a cell of 16: u = 2x - 15, v = 2y - 15, a = |u|, b = |v|; drawn where the rule holds, in the object's colour",
    "circle": "a*a + b*b <= 169", "square": "a <= 11 && b <= 11",
    "triangle": "v <= 13 && 2*a <= v + 13", "star": "2*min(a, b) + max(a, b) <= 16",
    "word": "letter i: black, glyph (seven hexadecimal rows of five bits, highest left) with its corner at x = 8i + 1, y = 8",
}


def encode(scene: Scene) -> str:
    return "".join(f"{o.shape}{o.colour}{o.cell}" for o in scene)


def decode(code: str) -> Scene:
    return tuple(Object(int(code[i + 2]), int(code[i]), int(code[i + 1])) for i in range(0, len(code), 3))


def held(*parts: Scene) -> bool:
    return any(o.pair in WORLD.held_out_pairs for scene in parts for o in scene)


def see_items(r: Random, words: tasks.Words, kind: str, n: int) -> list[list[str]]:
    """[scene, question, answer]; colour, shape, position and half of existence ask about a held-out object."""
    items = []
    while len(items) < n:
        scene = scenes.draw_scene(r, 1 + len(items) % 3, held_out=True)
        about = next(o for o in r.sample(scene, len(scene)) if o.pair in WORLD.held_out_pairs)
        if made := words.question(r, scene, kind, about, held_out=True):
            items.append([encode(scene), *made])
    return items


def edit_items(r: Random, words: tasks.Words, kind: str, n: int) -> list[list[str]]:
    """[scene, instruction, result]; scenes of one, two and three objects in turn."""
    items = []
    while len(items) < n:
        scene = scenes.draw_scene(r, 1 + len(items) % 3, held_out=r.random() < 0.5)
        made = words.edit(r, scene, kind, held_out=True)
        if made and held(scene, made[1]):
            items.append([encode(scene), made[0], encode(made[1])])
    return items


def paint_items(r: Random, words: tasks.Words, objects: int, n: int) -> list[list[str]]:
    """[prompt, scene]"""
    drawn = [scenes.draw_scene(r, objects, held_out=True) for _ in range(n)]
    return [[words.caption(r, scene), encode(scene)] for scene in drawn]


def squeezed(picture: np.ndarray) -> str:
    """base64 of zlib's deflate of the rows of RGB bytes."""
    return base64.b64encode(zlib.compress(picture.tobytes(), 9)).decode()


def build(seed: int) -> dict:
    words = tasks.Words()
    def r(name: str) -> Random:
        return Random(f"heldout/{seed}/{name}")

    samples = [scenes.draw_scene(r(f"sample {i}"), 1 + i % 4, held_out=True) for i in range(6)]
    some_words = r("words").sample(sorted(tasks.HELD_OUT_WORDS), WORDS)
    pictures = [{"scene": encode(s), "rgb": squeezed(scenes.render(s))} for s in samples]
    pictures += [{"word": w, "rgb": squeezed(scenes.render_word(w))} for w in some_words[:2]]
    return {
        "note": "written by training/nano/heldout.py, which explains it",
        "seed": seed,
        "world": {
            "size": WORLD.size, "cells": WORLD.cells, "shapes": WORLD.shapes, "colours": WORLD.colours,
            "ground": WORLD.grounds["white"], "positions": WORLD.positions, "heldOut": WORLD.held_out, "rules": RULES, "glyphs": scenes.GLYPHS,
        },
        "pictures": pictures,
        "see": {kind: see_items(r(f"see {kind}"), words, kind, n) for kind, n in SEE.items()},
        "paint": {name: paint_items(r(f"paint {name}"), words, i + 1, n) for i, (name, n) in enumerate(PAINT.items())},
        "edit": {kind: edit_items(r(f"edit {kind}"), words, kind, n) for kind, n in EDIT.items()},
        "words": {"read": [[w, r(w).choice(tasks.READ), w] for w in some_words], "paint": [[f"the word {w}", w] for w in some_words]},
    }


def documents(seed: int) -> dict:
    """{task: [[document, question, answer], ...]}: what evaluate.py asks."""
    from batches import Codec
    from evaluate import ABSENT, TASKS, items

    codec = Codec()
    return {name: [[text, question, answer] for text, question, answer in items(codec, name, *spec, seed)] for name, spec in (TASKS | ABSENT).items()}


def lines(value: object, depth: int = 0) -> str:
    """JSON with an item a line."""
    if isinstance(value, dict) and depth < 3:
        return "{\n" + ",\n".join(f"{json.dumps(k)}: {lines(v, depth + 1)}" for k, v in value.items()) + "\n}"
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], list):
        return "[\n" + ",\n".join(json.dumps(v, separators=(",", ":")) for v in value) + "\n]"
    return json.dumps(value)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    if args.documents:
        args.documents.write_text(json.dumps(documents(args.seed)))
        return
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(lines(build(args.seed)) + "\n")
    print(OUT, OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
