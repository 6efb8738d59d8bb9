"""Nano's image tokenizer: patches of 8x8 pixels to tokens of 16 channels and back, trained first.

    python patches.py --out ../runs/patches.pt --minutes 3

Encoder: an MLP on each patch. Decoder: a 3x3 convolution over the grid of tokens, then an MLP to the
patch. Trained on shapes and letters of the world in random colours, at random places (not only in
their cells) and in training scenes; tokens are noised, so that the decoder forgives the sampler.
"""

import argparse
import time
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import scenes
from scenes import WORLD

PATCH, CHANNELS, WIDTH = 8, 16, 256
LETTER_GRID = [scenes.LETTER_ROW * (WORLD.size // PATCH) + i for i in range(WORLD.size // scenes.LETTER)]  # tokens of a word's letters
NOISE = 0.3  # of a channel's deviation, at most, on the tokens that the decoder learns from


class Patches(nn.Module):
    """Pictures (B, S, S, 3) in -1..1 to tokens (B, N, C), standardised a channel, and back."""

    def __init__(self):
        super().__init__()
        p = PATCH * PATCH * 3
        self.encoder = nn.Sequential(nn.Linear(p, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, CHANNELS))
        self.conv = nn.Conv2d(CHANNELS, WIDTH, 3, padding=1)
        self.decoder = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, p))
        self.register_buffer("latent_mean", torch.zeros(CHANNELS))
        self.register_buffer("latent_std", torch.ones(CHANNELS))

    def raw(self, pictures: Tensor) -> Tensor:
        b, s = pictures.shape[:2]
        g = s // PATCH
        rows = pictures.reshape(b, g, PATCH, g, PATCH, 3).permute(0, 1, 3, 2, 4, 5).reshape(b, g * g, -1)
        return self.encoder(rows)

    def encode(self, pictures: Tensor) -> Tensor:
        return (self.raw(pictures) - self.latent_mean) / self.latent_std

    def decode_raw(self, tokens: Tensor) -> Tensor:
        b, n, c = tokens.shape
        g = int(n**0.5)
        x = F.silu(self.conv(tokens.transpose(1, 2).reshape(b, c, g, g))).flatten(2).transpose(1, 2)
        x = self.decoder(x).reshape(b, g, g, PATCH, PATCH, 3)
        return x.permute(0, 1, 3, 2, 4, 5).reshape(b, g * PATCH, g * PATCH, 3)

    def decode(self, tokens: Tensor) -> Tensor:
        return self.decode_raw(tokens * self.latent_std + self.latent_mean)


def to_float(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures)).float() * (2 / 255) - 1


def to_bytes(pictures: Tensor) -> np.ndarray:
    """-1..1 to uint8, truncating as upstream does."""
    return (127.5 * pictures + 128).clamp(0, 255).to(torch.uint8).numpy()


def training_picture(r: Random, masks: list[np.ndarray]) -> np.ndarray:
    kind = r.random()
    if kind < 0.35:
        return scenes.render(scenes.draw_scene(r, r.randint(1, 4)))
    if kind < 0.55:
        return scenes.render_word("".join(r.choices(list(scenes.GLYPHS), k=r.randint(2, 4))))
    picture = scenes.render(())
    aligned = r.random() < 0.5
    for cell in r.sample(range(4), r.randint(2, 4)):
        y, x = divmod(cell, 2)
        y, x = (16 * y, 16 * x) if aligned else (r.randint(0, 16), r.randint(0, 16))
        picture[y : y + 16, x : x + 16][r.choice(masks)] = [r.randrange(256) for _ in range(3)]
    return picture


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    r = Random(args.seed)
    masks = [scenes.mask(s) for s in WORLD.shapes]
    pool = to_float(np.stack([training_picture(r, masks) for _ in range(12000)]))
    model = Patches()
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, betas=(0.9, 0.99))
    start, step, size = time.process_time(), 0, 96
    while (progress := (time.process_time() - start) / (60 * args.minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 50, (1 - progress) / 0.5)
        x = pool[torch.randint(len(pool), (size,))]
        with torch.autocast("cpu", torch.bfloat16):
            z = model.raw(x).float()
            deviation = z.detach().std((0, 1))
            noisy = z + deviation * torch.randn_like(z) * (torch.rand(size, 1, 1) * NOISE)
            y = model.decode_raw(noisy).float()
        weight = 1 + 2 * (x.min(-1, keepdim=True).values < 0.99).float()  # objects weigh three times
        loss = (weight * (y - x).abs()).mean() + (weight * (y - x).square()).mean() + 1e-4 * z.square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        step += 1
        if step % 200 == 0:
            print(step, f"{progress:.2f} {loss.item():.4f}", flush=True)
    with torch.no_grad():
        r = Random("standard")  # tokens of training scenes of one to three objects have mean 0 and deviation 1
        z = model.raw(to_float(np.stack([scenes.render(scenes.draw_scene(r, r.randint(1, 3))) for _ in range(3000)]))).reshape(-1, CHANNELS)
        model.latent_mean.copy_(z.mean(0))
        model.latent_std.copy_(z.std(0))
        for name, held_out in (("training pairs", False), ("held-out pairs", True)):
            drawn = [scenes.draw_scene(r, r.randint(1, 3), held_out=held_out) for _ in range(300)]
            x = to_float(np.stack([scenes.render(s) for s in drawn]))
            for noise in (0, 0.25):
                tokens = model.encode(x)
                y = model.decode(tokens + noise * torch.randn_like(tokens))
                found = [scenes.match(picture) for picture in to_bytes(y)]
                exact = sum(f[0] == s for f, s in zip(found, drawn)) / len(drawn)
                psnr = 10 * torch.log10(4 / (y - x).square().mean()).item()
                print(f"{name}, noise {noise}: PSNR {psnr:.1f}, exact {exact:.3f}, worst cell {max(f[1] for f in found):.1f} levels", flush=True)
    torch.save(model.state_dict(), args.out)


if __name__ == "__main__":
    main()
