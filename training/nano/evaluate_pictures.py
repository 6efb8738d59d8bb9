"""Scores of painting, editing and seeing on eval/nano.json, with the weights of a GGUF, in f32.

    python evaluate_pictures.py ../runs/small.gguf --json ../runs/pictures.json [--n 64] [--sheet ../runs/sheets]

A picture is exact when in every cell the nearest template (scenes.match) is the expected one: right shape,
colour and cell of every object, nothing else. It is clean as well when no cell is farther than TOLERANCE
levels (root mean square over the cell) from its template; the two most alike templates are 25 apart.
An answer is exact as in evaluate.py. The blind baseline asks the same without the picture.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import heldout
import scenes
from batches import Codec
from diffusion import paint
from evaluate import wilson
from export import PAINT, load
from patches import to_bytes, to_float
from picture_batches import Frames
from unipic import UniPic

TOLERANCE = 20.0
ROWS = 50


def tokens_of(model: UniPic, pictures: list[np.ndarray]) -> Tensor:
    with torch.no_grad():
        return model.vae.encode(to_float(np.stack(pictures)))


@torch.no_grad()
def answers(model: UniPic, frames: Frames, items: list[tuple[np.ndarray, str, str]], blind: bool = False) -> list[bool]:
    """For each (picture, question, answer), whether greedy decoding gives exactly the answer."""
    hits = []
    for i in range(0, len(items), ROWS):
        part = items[i : i + ROWS]
        prompts = [frames.user(q) if blind else frames.see(q) for _, q, _ in part]
        replies = [frames.codec.answer(a) for _, _, a in part]
        rows = [p + a[:-1] for p, a in zip(prompts, replies)]
        states = model.lm.states(model.embed(rows)[0]) if blind else model.see(rows, tokens_of(model, [p for p, _, _ in part]))
        for row, p, a in zip(states, prompts, replies):
            hits.append(model.lm.logits(row[len(p) - 1 : len(p) - 1 + len(a)]).argmax(-1).tolist() == a)
    return hits


@torch.no_grad()
def pictures_of(model: UniPic, frames: Frames, texts: list[str], sources: list[np.ndarray] | None, **settings) -> list[np.ndarray]:
    """Painted (or edited) pictures, uint8 (S, S, 3)."""
    out = []
    for i in range(0, len(texts), ROWS):
        part = texts[i : i + ROWS]
        source = None if sources is None else tokens_of(model, sources[i : i + ROWS])
        prompt = frames.paint if source is None else frames.edit
        free = [prompt(None)] * len(part) if settings["guidance"] != 1 else None
        tokens = paint(model, [prompt(t) for t in part], free, source, seed=i, **settings)
        out += list(to_bytes(model.vae.decode(tokens)))
    return out


def share(hits: list[bool]) -> dict:
    low, high = wilson(sum(hits), len(hits))
    return {"n": len(hits), "right": sum(hits), "share": round(sum(hits) / len(hits), 4), "low": round(low, 4), "high": round(high, 4)}


def exact(picture: np.ndarray, expected: scenes.Scene) -> bool:
    return scenes.match(picture)[0] == expected


def judged(pictures: list[np.ndarray], wanted: list[scenes.Scene]) -> tuple[list[bool], int]:
    """Which pictures are exact, and how many of them are clean."""
    found = [scenes.match(p) for p in pictures]
    hits = [f == w for (f, _), w in zip(found, wanted)]
    return hits, sum(hit and worst <= TOLERANCE for hit, (_, worst) in zip(hits, found))


def sheet(path: Path, rows: list[list[np.ndarray]], scale: int = 4) -> None:
    """A PNG of pictures, enlarged, a row a list."""
    from PIL import Image

    side = rows[0][0].shape[0]
    canvas = np.full((len(rows) * (side + 2), max(map(len, rows)) * (side + 2), 3), 128, np.uint8)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            canvas[y * (side + 2) : y * (side + 2) + side, x * (side + 2) : x * (side + 2) + side] = picture
    Image.fromarray(canvas).resize((canvas.shape[1] * scale, canvas.shape[0] * scale), Image.Resampling.NEAREST).save(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--n", type=int, help="items a task, for a quick look")
    parser.add_argument("--only", default="", help="only tasks whose name has this in it")
    parser.add_argument("--iterations", type=int, default=PAINT["iterations"])
    parser.add_argument("--steps", type=int, default=PAINT["diffusion_steps"])
    parser.add_argument("--guidance", type=float, default=PAINT["guidance"])
    parser.add_argument("--sheet", type=Path, help="folder for PNG sheets of what was painted and edited")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, data, scores = load(args.gguf), json.loads(heldout.OUT.read_text()), {}
    frames = Frames(Codec.beside(args.gguf), model.c.tokens + model.c.buffer_count)
    settings = {"iterations": args.iterations, "steps": args.steps, "guidance": args.guidance}
    clock = time.monotonic()

    def report(name: str, hits: list[bool], **more) -> None:
        nonlocal clock
        s = scores[name] = share(hits) | more
        print(f"{name:22} {s['share']:.3f} [{s['low']:.3f}, {s['high']:.3f}] n {s['n']} {more or ''} {time.monotonic() - clock:.0f} s", flush=True)
        clock = time.monotonic()

    def keep(name: str, rows: list[list[np.ndarray]]) -> None:
        if args.sheet:
            args.sheet.mkdir(parents=True, exist_ok=True)
            sheet(args.sheet / f"{name.replace(' ', '-')}.png", rows)

    for kind, items in data["see"].items():
        if args.only in (name := f"see {kind}"):
            shown = [(scenes.render(heldout.decode(s)), q, a) for s, q, a in items[: args.n]]
            report(name, answers(model, frames, shown))
            report(f"blind {kind}", answers(model, frames, shown, blind=True))
    if args.only in (name := "see words"):
        report(name, answers(model, frames, [(scenes.render_word(w), q, a) for w, q, a in data["words"]["read"][: args.n]]))
    for count, items in data["paint"].items():
        if args.only in (name := f"paint {count}"):
            items = items[: args.n]
            made = pictures_of(model, frames, [prompt for prompt, _ in items], None, **settings)
            wanted = [heldout.decode(code) for _, code in items]
            hits, clean = judged(made, wanted)
            report(name, hits, clean=clean)
            keep(name, [row for i in range(0, min(48, len(made)), 12) for row in ([scenes.render(w) for w in wanted[i : i + 12]], made[i : i + 12])])
    if args.only in (name := "paint words"):
        items = data["words"]["paint"][: args.n]
        made = pictures_of(model, frames, [prompt for prompt, _ in items], None, **settings)
        report(name, [scenes.match_word(p) == w for p, (_, w) in zip(made, items)])
        keep(name, [made[i : i + 12] for i in range(0, min(48, len(made)), 12)])
    for kind, items in data["edit"].items():
        if args.only in (name := f"edit {kind}"):
            items = items[: args.n]
            sources = [scenes.render(heldout.decode(s)) for s, _, _ in items]
            made = pictures_of(model, frames, [text for _, text, _ in items], sources, **settings)
            wanted = [heldout.decode(code) for _, _, code in items]
            hits, clean = judged(made, wanted)
            by_objects = {str(k + 1): [sum(hits[k::3]), len(hits[k::3])] for k in range(3)}
            report(name, hits, clean=clean, objects=by_objects)
            keep(name, [row for i in range(0, min(48, len(made)), 12) for row in (sources[i : i + 12], made[i : i + 12])])
    if args.json:
        args.json.write_text(json.dumps({"settings": settings, "scores": scores}, indent=1) + "\n")


if __name__ == "__main__":
    main()
