"""Names the drawing in a cell of the gallery: a judge of paintings that has never seen the hand they are painted in.

    node ../drawings/rasterise.mjs ../runs/every-hand --every-hand
    python recogniser.py --drawings ../runs/every-hand --out ../runs/recogniser.pt --minutes 12

EfficientNet-Lite0, which knows ImageNet's photographs (efficientnet.py), trained further on the drawings of every hand but
gallery.HAND, on the gallery's grounds and others, moved, mirrored, varied (variation.py) and partly hidden. What it is worth is its
accuracy on the drawings of that hand, printed at the end and kept with the weights: no painting can be recognised more often than
the drawing it copies. `--without` leaves out a second hand and prints the accuracy on that one instead: settings are chosen by it,
so that HAND's drawings decide nothing.
"""

import argparse
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gallery
from collage import Item
from collage_render import Renderer
from drawings import open_library
from efficientnet import HEAD, EfficientNet
from gallery import GROUNDS, THINGS, Thing
from gallery_batches import SIDE, Gallery, on_ground, shape
from machine import Clock, add_clock_arguments, choose_device
from patches import to_float
from train import CLIP, learning_rate
from variation import vary

ROWS = 64
NONE = len(THINGS)  # label of an empty cell
INPUT = 160  # pixels to which a cell is enlarged
FIXED = 3  # blocks of the network that stay as they were, besides its stem
TAPS = (4, 10, 14)  # blocks whose means tell the name, besides the head's
RATE, NAMES_RATE = 2e-4, 2e-3
SCALE = 20.0  # of cosines, to logits
SIDES = (26, 32, 32)
SHIFT = 3  # pixels, at most
EMPTY_SHARE, SHAPE_SHARE, OTHER_GROUND_SHARE = 0.02, 0.03, 0.3
VARIED_SHARE, HIDDEN_SHARE = 0.8, 0.25
WORN_SHARE, NOISE, PATCH = 0.6, 14.0, 8  # of cells; standard deviation at most, in levels; pixels


class Recogniser(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = EfficientNet()
        self.names = nn.Linear(sum(self.network.blocks[i].project.out_channels for i in TAPS) + HEAD, NONE + 1, bias=False)
        nn.init.normal_(self.names.weight, std=0.02)
        self.to(memory_format=torch.channels_last)  # half of the time

    def features(self, cells: Tensor) -> Tensor:
        enlarged = F.interpolate(cells.permute(0, 3, 1, 2), size=(INPUT, INPUT), mode="bicubic").contiguous(memory_format=torch.channels_last)
        means = [x.mean((2, 3)) for x in self.network(enlarged, TAPS)]
        return torch.cat([F.layer_norm(x, x.shape[1:]) / x.shape[1] ** 0.25 for x in means], 1)

    def forward(self, cells: Tensor) -> Tensor:
        """cells (B, SIDE, SIDE, 3) in -1..1 to logits over THINGS and NONE: cosines."""
        features = F.dropout(self.features(cells), 0.1, self.training)
        return SCALE * F.normalize(features) @ F.normalize(self.names.weight).T

    @torch.no_grad()
    def name(self, cells: list[np.ndarray]) -> list[Thing | None]:
        """By the cells and their mirror images; equal cells are looked at once."""
        unique = list({cell.tobytes(): cell for cell in cells}.values())
        named: dict[bytes, Thing | None] = {}
        for part in (unique[i : i + ROWS] for i in range(0, len(unique), ROWS)):
            pixels = to_float(np.stack(part))
            best = (self(pixels).log_softmax(-1) + self(pixels.flip(2)).log_softmax(-1)).argmax(-1).tolist()
            named |= {cell.tobytes(): None if i == NONE else THINGS[i] for cell, i in zip(part, best)}
        return [named[cell.tobytes()] for cell in cells]


class Cells:
    """Draws training cells by every hand but some."""

    def __init__(self, folder: Path, without: set[str]):
        self.renderer = Renderer(folder)
        self.drawings = open_library(folder).without(without)

    def draw(self, r: Random) -> tuple[np.ndarray, int]:
        """uint8 (SIDE, SIDE, 3) and its label."""
        cell = np.empty((SIDE, SIDE, 3), np.uint8)
        if r.random() < OTHER_GROUND_SHARE:
            cell[:] = [r.randrange(256) for _ in range(3)]
        else:
            cell[:] = [min(255, max(0, level + r.randint(-12, 12))) for level in GROUNDS[r.choice(list(GROUNDS))]]
        if r.random() < EMPTY_SHARE:
            return wear(cell, r.randrange(1 << 30)), NONE
        label = r.randrange(len(gallery.SHAPES) * len(gallery.COLOURS) if r.random() < SHAPE_SHARE else len(THINGS))
        thing = THINGS[label]
        sprite = shape(thing) if thing.colour else self.sprite(r, thing.name)
        y, x = ((SIDE - len(sprite)) // 2 + r.randint(-SHIFT, SHIFT) for _ in range(2))
        top, left, bottom, right = max(0, y), max(0, x), min(SIDE, y + len(sprite)), min(SIDE, x + len(sprite))
        cell[top:bottom, left:right] = on_ground(sprite[top - y : bottom - y, left - x : right - x], cell[top:bottom, left:right])
        return (wear(cell, r.randrange(1 << 30)) if r.random() < WORN_SHARE else cell), label

    def sprite(self, r: Random, name: str) -> np.ndarray:
        drawn = self.renderer.sprite(Item(r.choice(self.drawings[name]), r.choice(SIDES), 0, 0, r.random() < 0.5))
        if r.random() < VARIED_SHARE:
            drawn = vary(drawn, r.randrange(1 << 30), keep_hue=False)
        if r.random() < HIDDEN_SHARE:
            drawn = drawn.copy()
            height, width = r.randint(4, 14), r.randint(4, 14)
            top, left = r.randint(0, len(drawn) - height), r.randint(0, len(drawn) - width)
            drawn[top : top + height, left : left + width, 3] = 0
        return drawn


def wear(cell: np.ndarray, seed: int) -> np.ndarray:
    """A copy as a painter may leave it: blurred, noisy in some places more than in others, with faded patches."""
    g = np.random.Generator(np.random.PCG64(seed))
    worn = cell.astype(np.float32)
    if g.random() < 0.5:
        padded = np.pad(worn, ((1, 1), (1, 1), (0, 0)), "edge")
        soft = sum(padded[y : y + SIDE, x : x + SIDE] for y in range(3) for x in range(3)) / 9
        worn += g.uniform(0, 0.8) * (soft - worn)
    parts = SIDE // PATCH
    if g.random() < 0.4:
        faded = (g.random((parts, parts)) < 0.3) * g.uniform(0.2, 0.8)
        ground = np.median(np.concatenate([cell[0], cell[-1], cell[:, 0], cell[:, -1]]), 0)
        worn += faded.repeat(PATCH, 0).repeat(PATCH, 1)[..., None] * (ground - worn)
    coarse = g.normal(0, 0.5, (SIDE // 2, SIDE // 2, 3)).repeat(2, 0).repeat(2, 1)
    where = g.random((parts, parts, 1)).repeat(PATCH, 0).repeat(PATCH, 1)
    worn += g.uniform(0, NOISE) * where * (g.normal(0, 1, worn.shape) + coarse)
    return np.clip(np.round(worn), 0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--drawings", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without", help="a hand that is left out, too, and tested instead of gallery.HAND")
    parser.add_argument("--from", dest="start", type=Path, help="what an earlier run has left, to go on from")
    add_clock_arguments(parser)
    args = parser.parse_args()
    device = choose_device()
    torch.manual_seed(args.seed)
    tested = args.without or gallery.HAND
    cells, model = Cells(args.drawings, {gallery.HAND, tested}), Recogniser()
    if args.start:
        model.load_state_dict(torch.load(args.start, weights_only=True)["weights"])
    else:
        model.network.load_pretrained()
    model = model.to(device)
    model.network.freeze(FIXED)
    trained = [p for p in model.network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [{"params": trained, "rate": RATE}, {"params": model.names.parameters(), "rate": NAMES_RATE}], RATE, betas=(0.9, 0.98), weight_decay=0.05)
    average = {name: x.detach().clone() for name, x in model.state_dict().items()}
    clock, step = Clock(device, args.minutes, args.until), 0
    while clock.running:
        r = Random(f"recogniser/{args.seed}/{step}")
        made = [cells.draw(r) for _ in range(ROWS)]
        pictures, labels = to_float(np.stack([p for p, _ in made])).to(device), torch.tensor([x for _, x in made], device=device)
        logits = model(pictures)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
        loss.backward()
        nn.utils.clip_grad_norm_((*trained, *model.names.parameters()), CLIP)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(clock.progress, group["rate"], 0.7)
        optimiser.step()
        optimiser.zero_grad()
        step += 1
        for name, x in model.state_dict().items():
            average[name].lerp_(x, max(0.005, 1 / (step + 1)))
        clock.tick()
        if step % 50 == 0:
            print(step, f"{clock.progress:.2f} {loss.item():.3f} {(logits.argmax(-1) == labels).float().mean().item():.3f}", flush=True)
    model.load_state_dict(average)
    model.cpu().eval()
    accuracy = test(model, Gallery(args.drawings, tested))
    torch.save({"weights": model.state_dict(), "accuracy": accuracy}, args.out)


def test(model: Recogniser, drawn: Gallery) -> dict:
    """How many of a hand's drawings are named, on every ground."""
    shown = [(t, drawn.cell(t, g)) for t in drawn.sprites if not t.colour for g in GROUNDS]
    named = model.name([cell for _, cell in shown])
    share = sum(t == n for (t, _), n in zip(shown, named)) / len(shown)
    print(f"drawings of the hand {drawn.hand}, never trained on: {share:.3f} of {len(shown)} ({len(GROUNDS)} grounds each)")
    wrong = Counter(f"{t} as {n or 'nothing'}" for (t, _), n in zip(shown, named) if t != n)
    print("named wrongly on most grounds:", ", ".join(pair for pair, count in wrong.most_common() if count > len(GROUNDS) / 2))
    return {"hand": drawn.hand, "share": round(share, 4), "n": len(shown)}


if __name__ == "__main__":
    main()
