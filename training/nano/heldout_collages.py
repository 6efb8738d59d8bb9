"""Held-out collages and questions for `npm run eval -- visual --items FILE`: python heldout_collages.py --drawings ../runs/drawings --out FILE.json.gz

`--split held_out`: drawings that training never showed, by hands that it did; `other_hand`: all by the hand that is held
out. Every picture of two things or more has a held-out pair of names, every printed text is held out. The same drawings and seed give the
same file, which is too large to commit: its facts name it.

{ split, seed, size, drawings (SHA-256), pictures: [base64 of deflated rows of RGB], kinds: { kind: [[picture, question, answer], ...] } }
"""

import argparse
import gzip
import json
from pathlib import Path
from random import Random

import collage
from collage_render import Renderer
from drawings import open_library
from heldout import squeezed

KINDS = (*collage.QUESTIONS, "read")


def build(folder: Path, split: str, seed: int, n: int) -> dict:
    """`n` questions of each kind, at most one of a kind about a picture; pictures of one to six items in turn."""
    library, renderer = open_library(folder), Renderer(folder)
    pictures: list[str] = []
    kinds: dict[str, list[tuple[int, str, str]]] = {kind: [] for kind in KINDS}
    drawn = 0
    while any(len(items) < n for items in kinds.values()):
        r = Random(f"collages/{split}/{seed}/{drawn}")
        count = 1 + drawn % 6
        drawn += 1
        c = collage.draw_collage(r, library, count, split, text=count <= 4 and r.random() < 0.8)
        asked = {kind: made for kind in KINDS if len(kinds[kind]) < n and (made := collage.question(r, c, kind))}
        if not asked:
            continue
        for kind, (question, answer) in asked.items():
            kinds[kind].append((len(pictures), question, answer))
        pictures.append(squeezed(renderer.render(c)))
    facts = json.loads((folder / "drawings.json").read_text())
    return {"split": split, "seed": seed, "size": collage.SIZE, "drawings": facts["sha256"], "kinds": kinds, "pictures": pictures}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--drawings", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", choices=("training", "held_out", "other_hand"), default="held_out")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--n", type=int, default=500, help="questions of each kind")
    args = parser.parse_args()
    made = build(args.drawings, args.split, args.seed, args.n)
    args.out.write_bytes(gzip.compress(json.dumps(made).encode(), 6, mtime=0))
    print(args.out, args.out.stat().st_size, "bytes,", len(made["pictures"]), "pictures")


if __name__ == "__main__":
    main()
