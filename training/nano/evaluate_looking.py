"""What a model makes of collages, quickly, while it is still being trained: answers by kind, and what its visual tokens tell.

    python evaluate_looking.py ../runs/settling/last.pt --drawings ../runs/drawings [--split held_out] [--n 48]

An answer is right if each of its tokens is the likeliest one after the right ones before it. `where` is asked again of pictures
with one, two and four things: a model that tells places, but not that of the thing that was asked, does well with one only.
Of patches that show something: the share whose row and column a linear reading finds, fitted to other pictures, after each block of the
tower and in the visual tokens; and the share whose visual token is nearest to the name of what it shows. `npm run eval -- visual` has
the scores of the card.
"""

import argparse
from pathlib import Path
from random import Random

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

import collage
import picture_batches as pb
import visual_tokens
from batches import Codec
from collage_render import Renderer
from drawings import open_library
from export import averaged, load
from model import Config
from patches import to_float
from tower import TowerConfig
from unipic import PictureConfig, UniPic

PICTURES = 192  # that places are read from; a sixth of them are not fitted to


def open_weights(path: Path, latest: bool) -> tuple[UniPic, Codec]:
    """A GGUF with its tokenizer, or a checkpoint: its averaged weights, or the latest ones."""
    if path.suffix == ".gguf":
        return load(path), Codec.beside(path)
    saved = torch.load(path, weights_only=True, map_location="cpu")
    model = UniPic(Config(**saved["config"]), PictureConfig(**saved["picture"]), TowerConfig(**saved["tower"]))
    model.load_state_dict(saved["model"] if latest else averaged(saved))
    return model, Codec.of(Tokenizer.from_str(saved["tokenizer"]))


class Asker:
    def __init__(self, model: UniPic, codec: Codec, drawings: Path, split: str):
        self.model, self.codec, self.split = model, codec, split
        self.library, self.renderer = open_library(drawings), Renderer(drawings)
        self.frames = pb.Frames(codec, model.siglip2.c.patches)

    def share(self, kind: str, counts: tuple[int, ...], n: int) -> float:
        """Of `n` questions of a kind, those that are answered right."""
        r, asked, pictures = Random(f"{self.split}/{kind}/{counts}"), [], []
        while len(asked) < n:
            c = collage.draw_collage(r, self.library, r.choice(counts), self.split)
            if made := collage.question(r, c, kind):
                asked.append((self.frames.see(made[0]), [made]))
                pictures.append(self.renderer.render(c))
        batch = pb.packed(self.codec, asked, to_float(np.stack(pictures)))
        visual = self.visual(batch.pictures)
        states = self.model.look(batch.rows, visual, torch.arange(visual.shape[1]).repeat(n, 1))
        right = self.model.lm.logits(states.reshape(-1, states.shape[-1])[batch.answers]).argmax(-1) == batch.targets
        row = batch.answers // max(map(len, batch.rows))
        return float(np.mean([bool(right[row == i].all()) for i in range(n)]))

    def visual(self, pictures: Tensor) -> Tensor:
        return torch.cat([self.model.siglip2_proj(self.model.siglip2(part)).float() for part in pictures.split(32)])

    def tokens(self) -> tuple[dict[str, Tensor], Tensor]:
        """What stands for patches at each stage of the way, (R, N, .), and the patches' labels (R, N)."""
        r = Random(f"{self.split}/tokens")
        made = [self.renderer.render_labelled(collage.draw_collage(r, self.library, r.randint(1, 6), self.split)) for _ in range(PICTURES)]
        found: dict[str, list[Tensor]] = {}
        hooks = [
            block.register_forward_hook(lambda _, __, out, name=f"block {i}": found.setdefault(name, []).append(out))
            for i, block in enumerate(self.model.siglip2.encoder["layers"])
        ]
        found["visual tokens"] = [self.visual(to_float(np.stack([p for p, _ in made])))]
        for hook in hooks:
            hook.remove()
        return {name: torch.cat(parts) for name, parts in sorted(found.items())}, torch.from_numpy(np.stack([labels for _, labels in made])).reshape(PICTURES, -1)


def read_places(x: Tensor, shows: Tensor, grid: int) -> tuple[float, float]:
    """The shares of rows and of columns that a linear reading of x (R, N, D) finds where `shows` (R, N) is true."""
    fitted = shows.clone()
    fitted[5 * len(x) // 6 :] = False
    mean, deviation = x[fitted].mean(0), x[fitted].std(0) + 1e-6
    rows = F.pad((x - mean) / deviation, (0, 1), value=1.0)
    place = torch.arange(x.shape[1]).expand(len(x), -1)
    shares = []
    for which in (place // grid, place % grid):
        reading = torch.linalg.lstsq(rows[fitted], F.one_hot(which[fitted], grid).float()).solution
        tested = shows & ~fitted
        shares.append(((rows[tested] @ reading).argmax(-1) == which[tested]).float().mean().item())
    return shares[0], shares[1]


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path, help="a checkpoint of train_joint.py, or a GGUF with its tokenizer.json beside it")
    parser.add_argument("--drawings", type=Path, required=True)
    parser.add_argument("--split", choices=("training", "held_out", "other_hand"), default="training")
    parser.add_argument("--latest", action="store_true", help="a checkpoint's latest weights instead of their average")
    parser.add_argument("--n", type=int, default=48)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, codec = open_weights(args.weights, args.latest)
    asker = Asker(model, codec, args.drawings, args.split)
    for kind in collage.QUESTIONS:
        print(f"{kind:10} {asker.share(kind, (1, 2, 3, 4), args.n):.3f}", flush=True)
    for count in (1, 2, 4):
        print(f"where of {count} {asker.share('where', (count,), args.n):.3f}", flush=True)
    stages, labels = asker.tokens()
    for name, x in stages.items():
        row, column = read_places(x, labels > 0, model.siglip2.c.grid)
        print(f"{name}: row {row:.3f}, column {column:.3f}")
    table, known = visual_tokens.name_table(visual_tokens.name_ids(codec), model.lm.embed_tokens.weight)
    asked = (labels > 0) & known[labels.clamp(min=0)]
    likest = (stages["visual tokens"][asked] @ table.T).masked_fill(~known, float("-inf")).argmax(-1)
    print(f"visual tokens: name {(likest == labels[asked]).float().mean():.3f}")


if __name__ == "__main__":
    main()
