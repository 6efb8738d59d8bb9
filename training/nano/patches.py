"""Nano's image tokenizer: patches of 8x8 pixels to tokens of 16 channels and back, trained first.

    python patches.py --out ../runs/patches.pt --minutes 3
    python patches.py --world gallery --drawings ../runs/drawings --channels 32 --width 384 --out ../runs/gallery.pt --minutes 30
    python patches.py --world gallery --drawings ../runs/drawings --from gallery.pt --out ../runs/gallery.pt --minutes 4

Encoder: an MLP on each patch. Decoder: a 3x3 convolution over the grid of tokens, then an MLP to the
patch. For the gallery trained on its scenes and words; for the small world on shapes and letters of the world in random colours, at random places (not only in
their cells) and in training scenes; tokens are noised, so that the decoder forgives the sampler. With --from only the decoder is trained, and tokens stay what they are.
"""

import argparse
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gallery
import scenes
from machine import Clock, autocast, choose_device
from scenes import WORLD

PATCH, CHANNELS, WIDTH = 8, 16, 256
LETTER_GRID = [scenes.LETTER_ROW * (WORLD.size // PATCH) + i for i in range(WORLD.size // scenes.LETTER)]  # tokens of a word's letters
WORD_SHARE = 0.1  # of the gallery's training pictures
NOISE = 0.3  # of a channel's deviation, at most, on the tokens that the decoder learns from


class Patches(nn.Module):
    """Pictures (B, S, S, 3) in -1..1 to tokens (B, N, C), standardised a channel, and back."""

    def __init__(self, channels: int = CHANNELS, width: int = WIDTH):
        super().__init__()
        p = PATCH * PATCH * 3
        self.encoder = nn.Sequential(nn.Linear(p, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, channels))
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.decoder = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, p))
        self.register_buffer("latent_mean", torch.zeros(channels))
        self.register_buffer("latent_std", torch.ones(channels))

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


class SmallWorld:
    """What the tokenizer of the small world learns from and is tested on."""

    def __init__(self):
        self.masks = [scenes.mask(s) for s in WORLD.shapes]

    def pool(self, r: Random) -> list[np.ndarray]:
        return [training_picture(r, self.masks) for _ in range(12000)]

    def standard(self, r: Random) -> list[np.ndarray]:
        """Tokens of training scenes of one to three objects are to have mean 0 and deviation 1."""
        return [scenes.render(scenes.draw_scene(r, r.randint(1, 3))) for _ in range(3000)]

    def test(self, r: Random, held_out: bool) -> list[tuple[object, np.ndarray]]:
        drawn = [scenes.draw_scene(r, r.randint(1, 3), held_out=held_out) for _ in range(300)]
        return [(s, scenes.render(s)) for s in drawn]

    def match(self, picture: np.ndarray) -> object:
        return scenes.match(picture)[0]


class GalleryWorld:
    def __init__(self, folder: Path):
        import gallery_batches  # needs this module

        self.drawn, self.words = gallery_batches.Gallery(folder), gallery_batches.render_word

    def pool(self, r: Random) -> list[np.ndarray]:
        return [self.picture(r) for _ in range(6000)]

    def picture(self, r: Random) -> np.ndarray:
        if r.random() < WORD_SHARE:
            return self.words("".join(r.choices(list(scenes.GLYPHS), k=4)))
        return self.drawn.render(gallery.draw_scene(r, r.randint(2, 4)))

    def standard(self, r: Random) -> list[np.ndarray]:
        return [self.drawn.render(gallery.draw_scene(r, r.randint(1, 3))) for _ in range(1500)]

    def test(self, r: Random, held_out: bool) -> list[tuple[object, np.ndarray]]:
        drawn = [gallery.draw_scene(r, r.randint(1, 3), held_out) for _ in range(150)]
        return [(s, self.drawn.render(s)) for s in drawn]

    def match(self, picture: np.ndarray) -> object:
        return self.drawn.match(picture)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--world", choices=("small", "gallery"), default="small")
    parser.add_argument("--drawings", type=Path, help="folder of rasterise.mjs, for the gallery")
    parser.add_argument("--channels", type=int, default=CHANNELS)
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--from", dest="start", type=Path, help="weights whose encoder stays as it is; their sizes are taken, too")
    args = parser.parse_args()
    device = choose_device()
    torch.manual_seed(args.seed)
    world = GalleryWorld(args.drawings) if args.world == "gallery" else SmallWorld()
    pool = torch.from_numpy(np.stack(world.pool(Random(args.seed)))).to(device)
    model = Patches(args.channels, args.width)
    if args.start:
        state = torch.load(args.start, weights_only=True, map_location="cpu")
        model = Patches(len(state["latent_mean"]), len(state["conv.bias"]))
        model.load_state_dict(state)
        model.encoder.requires_grad_(False)
    model.to(device)
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, betas=(0.9, 0.99))
    clock, step, size = Clock(device, args.minutes, None), 0, 96
    while clock.running:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 50, (1 - clock.progress) / 0.5)
        x = pool[torch.randint(len(pool), (size,), device=device)].float() * (2 / 255) - 1
        with autocast(device):
            z = model.raw(x).float()
            deviation = z.detach().std((0, 1))
            noisy = z + deviation * torch.randn_like(z) * (torch.rand(size, 1, 1, device=device) * NOISE)
            y = model.decode_raw(noisy).float()
        ground = x[:, :1, :1]
        weight = 1 + 2 * ((x - ground).abs().max(-1, keepdim=True).values > 0.01).float()  # objects weigh three times
        loss = (weight * (y - x).abs()).mean() + (weight * (y - x).square()).mean() + 1e-4 * z.square().mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        step += 1
        clock.tick()
        if step % 200 == 0:
            print(step, f"{clock.progress:.2f} {loss.item():.4f}", flush=True)
    model.cpu()
    with torch.no_grad():
        r = Random("standard")
        if not args.start:
            z = model.raw(to_float(np.stack(world.standard(r)))).flatten(0, 1)
            model.latent_mean.copy_(z.mean(0))
            model.latent_std.copy_(z.std(0))
        for name, held_out in (("training pairs", False), ("held-out pairs", True)):
            drawn = world.test(r, held_out)
            x = to_float(np.stack([picture for _, picture in drawn]))
            for noise in (0, 0.25):
                tokens = model.encode(x)
                y = model.decode(tokens + noise * torch.randn_like(tokens))
                exact = sum(world.match(picture) == scene for picture, (scene, _) in zip(to_bytes(y), drawn)) / len(drawn)
                psnr = 10 * torch.log10(4 / (y - x).square().mean()).item()
                print(f"{name}, noise {noise}: PSNR {psnr:.1f}, exact {exact:.3f}", flush=True)
    torch.save(model.state_dict(), args.out)


if __name__ == "__main__":
    main()
