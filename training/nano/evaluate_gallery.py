"""Scores of painting and editing the gallery's pictures on held-out scenes drawn by seed: what the SDK has painted of them, or what PyTorch paints with the weights of a GGUF, in f32.

    python evaluate_gallery.py --painted ../runs/painted.json.gz --drawings ../runs/drawings --recogniser ../runs/recogniser.pt --sheet ../runs/sheets
    python evaluate_gallery.py --gguf ../runs/gallery/nano.gguf --drawings ../runs/drawings --recogniser ../runs/recogniser.pt [--n 100]

Two judges. Exact: the nearest template of every cell and the ground are the expected ones (gallery_batches.match). Recognised: a
classifier that was trained on other hands' drawings (recogniser.py) names every cell as expected; `ceiling` is how often it does so of the expected
pictures themselves. The sheets have the expected picture above what was painted; of an edit its source above both.
"""

import argparse
import base64
import gzip
import json
import zlib
from collections.abc import Iterator
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

SETTINGS = {"iterations": PAINT["iterations"], "steps": PAINT["diffusion_steps"], "guidance": PAINT["guidance"]}
SHOWN, ACROSS = 48, 12  # pictures on a sheet, and in a row of it


def cells_of(picture: np.ndarray) -> list[np.ndarray]:
    return [picture[y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE] for y in range(gallery.CELLS) for x in range(gallery.CELLS)]


def recognised(judge: Recogniser, pictures: list[np.ndarray], wanted: list[Scene]) -> list[bool]:
    named, cells = judge.name([cell for p in pictures for cell in cells_of(p)]), gallery.CELLS**2
    return [named[i * cells : (i + 1) * cells] == [dict(w.things).get(cell) for cell in range(cells)] for i, w in enumerate(wanted)]


def open_painted(path: Path) -> tuple[dict, dict[str, list[np.ndarray]]]:
    """What `npm run eval -- gallery` wrote: its facts, and the pictures of each task."""
    facts = json.loads(gzip.decompress(path.read_bytes()))
    side = facts["size"]
    painted = {
        task: [np.frombuffer(zlib.decompress(base64.b64decode(p)), np.uint8).reshape(side, side, 3) for p in pictures]
        for task, pictures in facts.pop("painted").items()
    }
    return facts, painted


def painted_here(path: Path, drawn: Gallery, n: int, seed: int) -> Iterator[tuple[str, list[np.ndarray]]]:
    model = load(path)
    frames = Frames(Codec.beside(path), model.c.tokens + model.c.buffer_count)
    for task in gallery.TASKS:
        items = gallery.held_out_items(task, n, seed)
        sources = None if task.startswith("paint") else [drawn.render(source) for _, source, _ in items]
        yield task, pictures_of(model, frames, [words for words, _, _ in items], sources, **SETTINGS)


def main() -> None:
    parser = argparse.ArgumentParser()
    made = parser.add_mutually_exclusive_group(required=True)
    made.add_argument("--painted", type=Path, help="what the SDK painted (npm run eval -- gallery)")
    made.add_argument("--gguf", type=Path, help="weights with which PyTorch paints")
    parser.add_argument("--drawings", type=Path, required=True)
    parser.add_argument("--recogniser", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--seed", type=int, default=7, help="with --gguf")
    parser.add_argument("--n", type=int, default=500, help="items of each task, with --gguf")
    args = parser.parse_args()
    torch.set_num_threads(1)
    drawn, judge = Gallery(args.drawings), Recogniser()
    judging = torch.load(args.recogniser, weights_only=True)
    judge.load_state_dict(judging["weights"])
    judge.eval()
    if args.painted:
        facts, painted = open_painted(args.painted)
        known = json.loads((args.drawings / "drawings.json").read_text())["sha256"]
        if facts["drawings"] != known:
            parser.error(f"{args.painted} is of the drawings {facts['drawings']}, those of --drawings are {known}; rasterise them anew")
        tasks = iter(painted.items())
    else:
        facts, tasks = {"seed": args.seed, "by": "PyTorch, f32", "settings": SETTINGS}, painted_here(args.gguf, drawn, args.n, args.seed)
    scores = {}
    for task, pictures in tasks:
        items = gallery.held_out_items(task, len(pictures), facts["seed"])
        wanted = [scene for _, _, scene in items]
        expected = [drawn.render(scene) for scene in wanted]
        scores[task] = score = {
            "exact": share([drawn.match(p) == w for p, w in zip(pictures, wanted)]),
            "recognised": share(recognised(judge, pictures, wanted)),
            "ceiling": share(recognised(judge, expected, wanted)),
        }
        print(f"{task:16}", *(f"{judged} {s['share']:.3f} [{s['low']:.3f}, {s['high']:.3f}]" for judged, s in score.items()), f"n {len(pictures)}", flush=True)
        if args.sheet:
            args.sheet.mkdir(parents=True, exist_ok=True)
            lines = [expected, pictures] if items[0][1] is None else [[drawn.render(source) for _, source, _ in items], expected, pictures]
            sheet(args.sheet / f"gallery-{task.replace(' ', '-')}.png", [line[i : i + ACROSS] for i in range(0, min(SHOWN, len(pictures)), ACROSS) for line in lines], scale=2)
    if args.json:
        args.json.write_text(json.dumps({**facts, "recogniser": judging["accuracy"], "scores": scores}, indent=1) + "\n")


if __name__ == "__main__":
    main()
