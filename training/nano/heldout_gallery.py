"""Held-out captions and edits of the gallery for `npm run eval -- gallery --items FILE`: python heldout_gallery.py --drawings ../runs/drawings --out FILE.json.gz

The items are gallery.held_out_items, by which evaluate_gallery.py judges what was made of them. The same drawings, seed and n give the same file.

{ seed, n, size, drawings (SHA-256), pictures: [base64 of deflated rows of RGB], tasks: { task: [[words, picture or null], ...] } }
"""

import argparse
import gzip
import json
from pathlib import Path

import gallery
from gallery_batches import Gallery
from heldout import squeezed


def build(folder: Path, seed: int, n: int) -> dict:
    drawn = Gallery(folder)
    pictures: list[str] = []
    tasks: dict[str, list[tuple[str, int | None]]] = {}
    for task in gallery.TASKS:
        tasks[task] = []
        for words, source, _ in gallery.held_out_items(task, n, seed):
            tasks[task].append((words, None if source is None else len(pictures)))
            if source is not None:
                pictures.append(squeezed(drawn.render(source)))
    facts = json.loads((folder / "drawings.json").read_text())
    return {"seed": seed, "n": n, "size": gallery.SIZE, "drawings": facts["sha256"], "tasks": tasks, "pictures": pictures}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--drawings", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--n", type=int, default=500, help="items of each task")
    args = parser.parse_args()
    args.out.write_bytes(gzip.compress(json.dumps(build(args.drawings, args.seed, args.n)).encode(), 6, mtime=0))
    print(args.out, args.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
