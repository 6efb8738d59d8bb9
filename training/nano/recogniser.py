"""Names the drawing in a cell of the gallery: a judge of paintings that has never seen the hand they are painted in.

    python recogniser.py --drawings ../runs/drawings --out ../runs/recogniser.pt --minutes 30

A transformer on 4 x 4 patches of 32 x 32 pixels, trained on the drawings of every hand but gallery.HAND (and on shapes),
on the gallery's grounds, a little moved, mirrored and varied (variation.py). What it is worth is its accuracy on the drawings of that hand, printed at the end: no
painting can be recognised more often than the drawing it copies.
"""

import argparse
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gallery
from collage import VARIED_SHARE, Item
from collage_render import Renderer
from drawings import Drawing, open_library
from gallery import GROUNDS, THINGS, Thing
from gallery_batches import SIDE, Gallery, shape
from machine import Clock, add_clock_arguments, autocast, choose_device
from patches import to_float
from tower import Tower, TowerConfig
from train import CLIP, learning_rate

ROWS = 128
NONE = len(THINGS)  # label of an empty cell
SIDES = (26, 32)
EMPTY_SHARE, SHAPE_SHARE = 0.03, 0.1
SHIFT = 3  # pixels, at most


class Recogniser(nn.Module):
    def __init__(self):
        super().__init__()
        c = TowerConfig(image_size=SIDE, patch_size=4, embedding_length=192, feed_forward_length=768, block_count=4)
        self.tower = Tower(c)
        self.names = nn.Linear(c.embedding_length, len(THINGS) + 1)

    def forward(self, cells: Tensor) -> Tensor:
        """cells (B, SIDE, SIDE, 3) in -1..1 to logits over THINGS and NONE."""
        return self.names(self.tower(cells).mean(1))

    @torch.no_grad()
    def name(self, cells: list[np.ndarray]) -> list[Thing | None]:
        best = self(to_float(np.stack(cells))).argmax(-1).tolist()
        return [None if i == NONE else THINGS[i] for i in best]


class Cells:
    """Draws training cells by the hands that the gallery is not painted in."""

    def __init__(self, folder: Path):
        library = open_library(folder)
        self.renderer = Renderer(folder)
        every = [d for split in (library.training, library.held_out, library.other_hand) for found in split.values() for d in found]
        self.drawings: dict[str, list[Drawing]] = {}
        for d in every:
            if d.hand != gallery.HAND:
                self.drawings.setdefault(d.name, []).append(d)

    def draw(self, r: Random) -> tuple[np.ndarray, int]:
        """uint8 (SIDE, SIDE, 3) and its label."""
        cell = np.empty((SIDE, SIDE, 3), np.uint8)
        cell[:] = [min(255, max(0, level + r.randint(-12, 12))) for level in GROUNDS[r.choice(list(GROUNDS))]]
        if r.random() < EMPTY_SHARE:
            return cell, NONE
        label = r.randrange(len(THINGS))
        if r.random() < SHAPE_SHARE:
            label = r.randrange(len(gallery.SHAPES) * len(gallery.COLOURS))
        thing = THINGS[label]
        if thing.colour:
            sprite = shape(thing)
        else:
            varied = r.randrange(1 << 30) if r.random() < VARIED_SHARE else None
            sprite = self.renderer.sprite(Item(r.choice(self.drawings[thing.name]), r.choice(SIDES), 0, 0, r.random() < 0.5, varied))
        y, x = ((SIDE - len(sprite)) // 2 + r.randint(-SHIFT, SHIFT) for _ in range(2))
        top, left, bottom, right = max(0, y), max(0, x), min(SIDE, y + len(sprite)), min(SIDE, x + len(sprite))
        part = sprite[top - y : bottom - y, left - x : right - x].astype(np.uint16)
        window = cell[top:bottom, left:right]
        window[:] = (part[..., :3] * part[..., 3:] + window * (255 - part[..., 3:]) + 127) // 255
        return cell, label


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--drawings", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    add_clock_arguments(parser)
    args = parser.parse_args()
    device = choose_device()
    torch.manual_seed(args.seed)
    cells, model = Cells(args.drawings), Recogniser().to(device)
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, betas=(0.9, 0.98), weight_decay=0.05)
    clock, step = Clock(device, args.minutes, args.until), 0
    while clock.running:
        r = Random(f"recogniser/{args.seed}/{step}")
        made = [cells.draw(r) for _ in range(ROWS)]
        pictures, labels = to_float(np.stack([p for p, _ in made])).to(device), torch.tensor([x for _, x in made], device=device)
        with autocast(device):
            logits = model(pictures)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=0.1)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(clock.progress, 1e-3, 0.7)
        optimiser.step()
        optimiser.zero_grad()
        step += 1
        clock.tick()
        if step % 100 == 0:
            print(step, f"{clock.progress:.2f} {loss.item():.3f} {(logits.argmax(-1) == labels).float().mean().item():.3f}", flush=True)
    model.cpu().eval()
    drawn = Gallery(args.drawings)
    grounds = list(GROUNDS)
    shown = [(t, drawn.cell(t, g)) for t in THINGS if not t.colour for g in grounds]
    hits = [a == t for (t, _), a in zip(shown, model.name([p for _, p in shown]))]
    print(f"drawings of the hand {gallery.HAND}, never trained on: {sum(hits) / len(hits):.3f} of {len(hits)} ({len(grounds)} grounds each)")
    torch.save(model.state_dict(), args.out)


if __name__ == "__main__":
    main()
