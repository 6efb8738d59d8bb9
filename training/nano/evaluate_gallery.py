"""Scores of painting and editing the gallery's pictures, with the weights of a GGUF, in f32, on held-out scenes drawn by seed.

    python evaluate_gallery.py ../runs/gallery/nano.gguf --drawings ../runs/drawings --recogniser ../runs/recogniser.pt --sheet ../runs/sheets [--n 100]

Two judges. Exact: the nearest template of every cell and the ground are the expected ones (gallery_batches.match). Recognised: a
classifier that was trained on other hands' drawings (recogniser.py) names every cell as expected. The sheets have the expected picture above what was painted.
"""

import argparse
import json
from pathlib import Path
from random import Random

import numpy as np
import torch

import gallery
from batches import Codec
from evaluate_pictures import pictures_of, share, sheet
from export import PAINT, load
from gallery import Scene
from gallery_batches import SIDE, Gallery
from picture_batches import Frames
from recogniser import Recogniser

COUNTS = {"one": 1, "two": 2, "three": 3}
SHOWN = 48  # pictures on a sheet


def cells_of(picture: np.ndarray) -> list[np.ndarray]:
    return [picture[y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE] for y in range(gallery.CELLS) for x in range(gallery.CELLS)]


def recognised(judge: Recogniser, picture: np.ndarray, wanted: Scene) -> bool:
    expected = dict(wanted.things)
    return judge.name(cells_of(picture)) == [expected.get(cell) for cell in range(gallery.CELLS**2)]


def paint_items(count: int, n: int, seed: int) -> list[tuple[str, Scene]]:
    r = Random(f"gallery/{seed}/paint/{count}")
    drawn = [gallery.draw_scene(r, count, held_out=True) for _ in range(n)]
    return [(gallery.caption(r, scene), scene) for scene in drawn]


def edit_items(kind: str, n: int, seed: int) -> list[tuple[Scene, str, Scene]]:
    """Scenes of one to three things; what an edit brings in may be held out."""
    r = Random(f"gallery/{seed}/edit/{kind}")
    items: list[tuple[Scene, str, Scene]] = []
    while len(items) < n:
        scene = gallery.draw_scene(r, 1 + len(items) % 3, held_out=True)
        if made := gallery.edit(r, scene, kind, held_out=True):
            items.append((scene, *made))
    return items


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--drawings", type=Path, required=True)
    parser.add_argument("--recogniser", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--n", type=int, default=500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, drawn, judge = load(args.gguf), Gallery(args.drawings), Recogniser()
    judge.load_state_dict(torch.load(args.recogniser, weights_only=True))
    frames = Frames(Codec.beside(args.gguf), model.c.tokens + model.c.buffer_count)
    settings = {"iterations": PAINT["iterations"], "steps": PAINT["diffusion_steps"], "guidance": PAINT["guidance"]}
    scores = {}

    def report(name: str, made: list[np.ndarray], wanted: list[Scene]) -> None:
        exact = share([drawn.match(p) == w for p, w in zip(made, wanted)])
        named = share([recognised(judge, p, w) for p, w in zip(made, wanted)])
        scores[name] = {"exact": exact, "recognised": named}
        print(f"{name:16} exact {exact['share']:.3f} [{exact['low']:.3f}, {exact['high']:.3f}]  recognised {named['share']:.3f} [{named['low']:.3f}, {named['high']:.3f}]  n {exact['n']}", flush=True)
        if args.sheet:
            args.sheet.mkdir(parents=True, exist_ok=True)
            rows = [row for i in range(0, min(SHOWN, len(made)), 12) for row in ([drawn.render(w) for w in wanted[i : i + 12]], made[i : i + 12])]
            sheet(args.sheet / f"gallery-{name.replace(' ', '-')}.png", rows)

    for name, count in COUNTS.items():
        items = paint_items(count, args.n, args.seed)
        report(f"paint {name}", pictures_of(model, frames, [prompt for prompt, _ in items], None, **settings), [scene for _, scene in items])
    for kind in gallery.EDITS:
        changes = edit_items(kind, args.n, args.seed)
        made = pictures_of(model, frames, [text for _, text, _ in changes], [drawn.render(s) for s, _, _ in changes], **settings)
        report(f"edit {kind}", made, [result for _, _, result in changes])
    if args.json:
        args.json.write_text(json.dumps({"settings": settings, "scores": scores}, indent=1) + "\n")


if __name__ == "__main__":
    main()
