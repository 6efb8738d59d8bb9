"""Train the tower alone: what does each patch of a collage show? Resumable; then train_joint.py --stage seeing teaches the language model to use it.

    python train_tower.py --out ../runs/tower --drawings ../runs/drawings --minutes 60

A picture gives 256 labelled patches, where a question gives one word: so the tower learns the names of the drawings
many times sooner than by answers alone. Patches that two things share are not asked. Until CROWDED of the run most pictures
are full (nine items), which have twice the labelled patches of the others; then they are as `--stage seeing` has them. The log has, every
LOG steps: step, training seconds, rate, loss, share of right patches (not ground); and every TEST steps that share on new
pictures of training drawings, of held-out drawings and of the held-out hand.
"""

import argparse
import csv
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import collage
from collage_render import LABELS, Renderer
from drawings import Library, open_library
from feed import Feed
from machine import Clock, add_clock_arguments, autocast, choose_device, save
from optimiser import Muon
from patches import to_float
from tower import Tower, TowerConfig
from train import CLIP, learning_rate

ROWS = {"cpu": 20, "cuda": 256}
CROWDED, CROWDED_SHARE = 0.7, 0.8  # of the run; of its pictures until then
COUNTS = (1, 2, 3, 4, 5, 6, 6)
GROUND_WEIGHT = 0.1  # of a ground patch; three in four are
LOG, TEST, TEST_PICTURES = 50, 500, 96
SAVE_SECONDS = 120
EMA = 0.998
SPLITS = ("training", "held_out", "other_hand")


class Labelled(nn.Module):
    """The tower with a table of labels that is thrown away afterwards."""

    def __init__(self, c: TowerConfig):
        super().__init__()
        self.tower = Tower(c)
        self.labels = nn.Linear(c.embedding_length, len(LABELS))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.labels(self.tower(pictures))


def draw(r: Random, library: Library, renderer: Renderer, rows: int, split: str = "training", crowded: float = 0.0) -> tuple[Tensor, Tensor]:
    """Pictures (B, S, S, 3) in -1..1 and labels (B, N); a share `crowded` of them has an item in every cell."""
    counts = [collage.CELLS**2 if r.random() < crowded else r.choice(COUNTS) for _ in range(rows)]
    made = [renderer.render_labelled(collage.draw_collage(r, library, n, split)) for n in counts]
    return to_float(np.stack([p for p, _ in made])), torch.from_numpy(np.stack([x for _, x in made])).reshape(rows, -1)


class Pictures:
    """The maker of a step's pictures (feed.py)."""

    def __init__(self, folder: Path, seed: int, rows: int):
        self.folder, self.seed, self.rows = folder, seed, rows
        self.open: tuple[Library, Renderer] | None = None

    def __call__(self, step: int, progress: float) -> tuple[Tensor, Tensor]:
        self.open = self.open or (open_library(self.folder), Renderer(self.folder))
        return draw(Random(f"tower/{self.seed}/{step}"), *self.open, self.rows, crowded=CROWDED_SHARE if progress < CROWDED else 0.0)


def patch_loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted cross entropy, and the share of patches besides ground that are right."""
    asked = labels >= 0
    logits, labels = logits[asked].float(), labels[asked]
    thing = labels > 0
    weight = torch.where(thing, 1.0, GROUND_WEIGHT)
    loss = (F.cross_entropy(logits, labels, reduction="none") * weight).sum() / weight.sum()
    return loss, (logits.detach().argmax(-1) == labels)[thing].float().mean()


@torch.no_grad()
def test(model: Labelled, weights: dict[str, Tensor], device: torch.device, library: Library, renderer: Renderer) -> list[float]:
    """The share of right patches in each split, with the averaged weights."""
    own = {n: p.detach().clone() for n, p in model.named_parameters()}
    model.load_state_dict(weights, strict=False)
    found = []
    for split in SPLITS:
        pictures, labels = draw(Random(f"test/{split}"), library, renderer, TEST_PICTURES, split)
        with autocast(device):
            logits = torch.cat([model(part.to(device)) for part in pictures.split(32)])
        found.append(round(patch_loss(logits, labels.to(device))[1].item(), 4))
    model.load_state_dict(own, strict=False)
    return found


def write(checkpoint: Path, out: Path) -> None:
    """The averaged weights of the tower alone, in 16 bits: what train_joint.py needs of a run."""
    saved = torch.load(checkpoint, weights_only=True, map_location="cpu")
    weights = saved["model"] | saved["average"]
    save(out, tower=saved["tower"], weights={n.removeprefix("tower."): p.half() for n, p in weights.items() if n.startswith("tower.")})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--drawings", type=Path, required=True, help="folder written by training/drawings/rasterise.mjs")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--blocks", type=int, default=4)
    add_clock_arguments(parser)
    args = parser.parse_args()

    device = choose_device()
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    library, renderer = open_library(args.drawings), Renderer(args.drawings)
    model = Labelled(TowerConfig(embedding_length=args.width, feed_forward_length=4 * args.width, block_count=args.blocks)).to(device)
    hidden = [p for n, p in model.named_parameters() if p.ndim == 2 and not any(t in n for t in ("embedding", "labels"))]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or any(t in n for t in ("embedding", "labels"))]
    optimisers = [Muon(hidden, args.lr), torch.optim.AdamW(rest, args.lr, betas=(0.9, 0.95), weight_decay=0.0)]
    average = {n: p.detach().clone() for n, p in model.named_parameters()}
    clock, step = Clock(device, args.minutes, args.until), 0
    checkpoint = args.out / "last.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        model.load_state_dict(state["model"])
        average = state["average"]
        for o, s in zip(optimisers, state["optimisers"]):
            o.load_state_dict(s)
        step, clock.seconds = state["step"], state["seconds"]
    feed = Feed(Pictures(args.drawings, args.seed, ROWS[device.type]), device, args.workers)
    log = csv.writer((args.out / "log.csv").open("a", buffering=1))
    print(sum(p.numel() for p in model.parameters()), "parameters on", device, "from step", step, flush=True)

    def keep() -> None:
        save(checkpoint, tower=model.tower.c.to_dict(), model=model.state_dict(), average=average,
             optimisers=[o.state_dict() for o in optimisers], step=step, seconds=clock.seconds)

    sums, kept_at = [0.0, 0.0], clock.seconds
    clock.start()
    while clock.running:
        lr = learning_rate(clock.progress, args.lr, args.decay)
        pictures, labels = feed.get(step, clock.progress)
        with autocast(device):
            logits = model(pictures)
        loss, right = patch_loss(logits, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for o in optimisers:
            for group in o.param_groups:
                group["lr"] = lr
            o.step()
            o.zero_grad()
        step += 1
        torch._foreach_lerp_(list(average.values()), [p.detach() for p in model.parameters()], 1 - min(EMA, step / (step + 10)))
        sums = [a + b for a, b in zip(sums, (loss.item(), right.item()))]
        clock.tick()
        if step % LOG == 0:
            row = [step, round(clock.seconds), f"{lr:.2e}", *(f"{s / LOG:.4f}" for s in sums)]
            if step % TEST == 0:
                row += test(model, average, device, library, renderer)
                clock.start()
            log.writerow(row)
            print(*row, flush=True)
            sums = [0.0, 0.0]
        if clock.seconds - kept_at > SAVE_SECONDS:
            keep()
            kept_at = clock.seconds
    keep()
    feed.close()
    write(checkpoint, args.out / "tower.pt")
    print("stopped at step", step, "after", round(clock.seconds), "seconds of training", flush=True)


if __name__ == "__main__":
    main()
