"""Nano as a model of the UniPic graph: MAR around the language model, and the diffusion head on top.

Names are those of docs/unipic-format.md. Shapes: R rows, N image tokens, B buffers, C token channels,
W MAR width, D language model width, H head width, k known tokens.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model import Config, Nano
from patches import Patches
from tower import Tower, TowerConfig, projection

IMAGE_TOKEN = 2559  # <image> in the committed vocabulary and in every extension of it


@dataclass(frozen=True)
class PictureConfig:
    """Sizes of the picture half, named as the keys of docs/unipic-format.md; tokenizer_width is the image tokenizer's."""

    image_size: int = 32
    patch_size: int = 8
    token_channels: int = 16
    tokenizer_width: int = 256
    embedding_length: int = 192
    feed_forward_length: int = 768
    encoder_block_count: int = 2
    decoder_block_count: int = 2
    head_count: int = 4
    buffer_count: int = 8
    layer_norm_epsilon: float = 1e-6
    diffusion_width: int = 256
    diffusion_block_count: int = 3
    train_steps: int = 1000
    max_beta: float = 0.2

    @property
    def grid(self) -> int:
        return self.image_size // self.patch_size

    @property
    def tokens(self) -> int:
        return self.grid**2

    @property
    def sizes(self) -> dict[str, int]:
        """What shapes depend on: the whole numbers. A GGUF file keeps the others in 32 bits, so that they are not equal to those of a stage."""
        return {key: value for key, value in asdict(self).items() if isinstance(value, int)}

    def to_dict(self) -> dict:
        return asdict(self)


GALLERY = PictureConfig(image_size=64, token_channels=32, tokenizer_width=384, embedding_length=256, feed_forward_length=1024,
                        encoder_block_count=3, decoder_block_count=3)  # 64 tokens


def spread(x: Tensor, count: int) -> Tensor:
    """ToDRE's greedy k-center: of the rows of x (R, N, D) `count` that differ most, (R, count), ascending.

    The first is the one least like the mean; each next one has the least of the largest cosines with those chosen.
    """
    x = F.normalize(x, dim=-1)
    chosen = [torch.einsum("rnd,rd->rn", x, x.mean(1)).argmin(1)]
    nearest = torch.full(x.shape[:2], -2.0, device=x.device)
    while len(chosen) < count:
        last = x.gather(1, chosen[-1][:, None, None].expand(-1, 1, x.shape[-1]))
        nearest = torch.maximum(nearest, (x @ last.transpose(1, 2))[..., 0]).scatter(1, chosen[-1][:, None], 2.0)
        chosen.append(nearest.argmin(1))
    return torch.stack(chosen, 1).sort(1).values


class SelfAttention(nn.Module):
    """Bidirectional; plain products, faster than the fused kernel on so few positions."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        r, t, w = x.shape
        q, k, v = self.qkv(x).reshape(r, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        score = (q * (w // self.heads) ** -0.5) @ k.transpose(-1, -2)
        return self.proj((score.softmax(-1, dtype=v.dtype) @ v).transpose(1, 2).reshape(r, t, w))


class MarBlock(nn.Module):
    def __init__(self, c: PictureConfig):
        super().__init__()
        w = c.embedding_length
        self.norm1 = nn.LayerNorm(w, eps=c.layer_norm_epsilon)
        self.attn = SelfAttention(w, c.head_count)
        self.norm2 = nn.LayerNorm(w, eps=c.layer_norm_epsilon)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(w, c.feed_forward_length), "fc2": nn.Linear(c.feed_forward_length, w)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class ResBlock(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.in_ln = nn.LayerNorm(width, eps=eps)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 3 * width))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        shift, scale, gate = self.adaLN_modulation(y).chunk(3, -1)
        return x + gate * self.mlp(self.in_ln(x) * (1 + scale) + shift)


class FinalLayer(nn.Module):
    def __init__(self, width: int, out: int, eps: float):
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=eps, elementwise_affine=False)
        self.linear = nn.Linear(width, out)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(y).chunk(2, -1)
        return self.linear(self.norm(x) * (1 + scale) + shift)


class Head(nn.Module):
    """x (M, C), t (M,), z (M, W) to prediction and interpolation of the variance (M, 2C)."""

    def __init__(self, c: PictureConfig):
        super().__init__()
        h = c.diffusion_width
        self.time_embed = nn.ModuleDict({"mlp": nn.Sequential(nn.Linear(256, h), nn.SiLU(), nn.Linear(h, h))})
        self.cond_embed = nn.Linear(c.embedding_length, h)
        self.input_proj = nn.Linear(c.token_channels, h)
        self.res_blocks = nn.ModuleList(ResBlock(h, c.layer_norm_epsilon) for _ in range(c.diffusion_block_count))
        self.final_layer = FinalLayer(h, 2 * c.token_channels, c.layer_norm_epsilon)
        frequency = torch.exp(-torch.log(torch.tensor(10000.0)) * torch.arange(128) / 128)
        angle = torch.arange(c.train_steps)[:, None] * frequency[None]
        self.register_buffer("sinusoids", torch.cat([angle.cos(), angle.sin()], -1), persistent=False)
        for linear in [b.adaLN_modulation[1] for b in self.res_blocks] + [self.final_layer.adaLN_modulation[1], self.final_layer.linear]:
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, t: Tensor, z: Tensor, copies: int = 1) -> Tensor:
        """With `copies`, z holds M / copies rows and is used for each run of them."""
        y = self.time_embed["mlp"](self.sinusoids[t]) + self.cond_embed(z).repeat(copies, 1)
        x = self.input_proj(x)
        for block in self.res_blocks:
            x = block(x, y)
        return self.final_layer(x, y).float()


class Mar(nn.Module):
    def __init__(self, c: PictureConfig):
        super().__init__()
        self.c = c
        w, n, b = c.embedding_length, c.tokens, c.buffer_count
        self.fake_latent = nn.Parameter(torch.randn(1, w) * 0.02)
        self.mask_token = nn.Parameter(torch.randn(1, w) * 0.02)
        self.encoder_pos_embed_learned = nn.Parameter(torch.randn(b + n, w) * 0.5)
        self.decoder_pos_embed_learned = nn.Parameter(torch.randn(b + n, w) * 0.5)
        self.diffusion_pos_embed_learned = nn.Parameter(torch.randn(n, w) * 0.2)
        self.z_proj = nn.Linear(c.token_channels, w)
        self.z_proj_ln = nn.LayerNorm(w, eps=c.layer_norm_epsilon)
        self.encoder_blocks = nn.ModuleList(MarBlock(c) for _ in range(c.encoder_block_count))
        self.encoder_norm = nn.LayerNorm(w, eps=c.layer_norm_epsilon)
        self.decoder_embed = nn.Linear(w, w)
        self.decoder_blocks = nn.ModuleList(MarBlock(c) for _ in range(c.decoder_block_count))
        self.decoder_norm = nn.LayerNorm(w, eps=c.layer_norm_epsilon)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.zeros_(m.bias)
        self.diffloss = nn.ModuleDict({"net": Head(c)})

    def encode(self, tokens: Tensor, known: Tensor | None = None) -> Tensor:
        """tokens (R, N, C), known (R, k) token indices (None: all) to x_enc (R, B + k, W), buffers in front."""
        r, b = len(tokens), self.c.buffer_count
        x = torch.cat([self.fake_latent.expand(r, b, -1), self.z_proj(tokens).float()], 1) + self.encoder_pos_embed_learned
        x = self.z_proj_ln(x)
        if known is not None:
            x = torch.cat([x[:, :b], x[:, b:].gather(1, known[..., None].expand(-1, -1, x.shape[-1]))], 1)
        for block in self.encoder_blocks:
            x = block(x)
        return self.encoder_norm(x).float()

    def decode(self, fused: Tensor, known: Tensor, source: Tensor | None) -> Tensor:
        """fused (R, B + k, W), known (R, k), source x_con (R, B + N, W) in editing, to z (R, N, W)."""
        r, b = len(fused), self.c.buffer_count
        x = self.decoder_embed(fused).float()
        if source is None:
            slots = self.mask_token.expand(r, self.c.tokens, -1)
        else:
            slots = self.decoder_embed(source[:, b:]).float()
        slots = slots.scatter(1, known[..., None].expand(-1, -1, x.shape[-1]), x[:, b:])
        x = torch.cat([x[:, :b], slots], 1) + self.decoder_pos_embed_learned
        for block in self.decoder_blocks:
            x = block(x)
        return self.decoder_norm(x).float()[:, b:] + self.diffusion_pos_embed_learned


class UniPic(nn.Module):
    """`tower` None: pictures are seen by the MAR encoder alone."""

    def __init__(self, text: Config, picture: PictureConfig, tower: TowerConfig | None = None):
        super().__init__()
        self.c = picture
        self.lm = Nano(text)
        self.mar = Mar(picture)
        d, w = text.hidden_size, picture.embedding_length
        self.proj_in = nn.Sequential(nn.Linear(w, d), nn.SiLU(), nn.Linear(d, d))
        self.proj_out = nn.Sequential(nn.Linear(d, d), nn.SiLU(), nn.Linear(d, w))
        self.vae = Patches(picture.token_channels, picture.tokenizer_width).requires_grad_(False)
        if tower is not None:
            self.siglip2 = Tower(tower)
            self.siglip2_proj = projection(tower.embedding_length, d)

    def rotate(self, x: Tensor, buffers: int) -> Tensor:
        """`buffers` leading rows of (R, T, .) to the end."""
        return torch.cat([x[:, buffers:], x[:, :buffers]], 1)

    def visual(self, x_enc: Tensor) -> Tensor:
        """x_enc to what the language model sees: (R, k + B, D), image tokens first."""
        return self.rotate(self.proj_in(x_enc).float(), self.c.buffer_count)

    def embed(self, prompts: list[list[int]], source: Tensor | None = None, target: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Embeddings (R, T, D) of prompts, padded on the right, `source` (R, N + B, D) at their placeholders,
        `target` (R, k + B, D) right after each; and the flat places of target, (R (k + B),)."""
        extra = 0 if target is None else target.shape[1]
        t = max(map(len, prompts)) + extra
        ids = torch.zeros(len(prompts), t, dtype=torch.long)
        for row, prompt in zip(ids, prompts):
            row[: len(prompt)] = torch.tensor(prompt)
        x = self.lm.embed_tokens(ids).reshape(-1, self.lm.c.hidden_size)
        if source is not None:
            x = x.index_copy(0, (ids.reshape(-1) == IMAGE_TOKEN).nonzero()[:, 0], source.reshape(-1, x.shape[-1]))
        places = None
        if target is not None:
            starts = torch.tensor([i * t + len(p) for i, p in enumerate(prompts)])
            places = (starts[:, None] + torch.arange(extra)).reshape(-1)
            x = x.index_copy(0, places, target.reshape(-1, x.shape[-1]))
        return x.reshape(len(prompts), t, -1), places

    def condition(self, prompts: list[list[int]], tokens: Tensor, known: Tensor, source: Tensor | None = None) -> Tensor:
        """What the diffusion head is conditioned on, z (R, N, W): steps a to e of unipic.md.

        tokens (R, N, C) of which known (R, k) are given; source (R, N, C): the picture to edit, whose
        placeholders the prompts hold.
        """
        b = self.c.buffer_count
        x_con = None if source is None else self.mar.encode(source)
        x_enc = self.mar.encode(tokens, known)
        x, places = self.embed(prompts, None if x_con is None else self.visual(x_con), self.visual(x_enc))
        states = self.lm.states(x).reshape(-1, x.shape[-1])[places].reshape(len(prompts), -1, x.shape[-1])
        fused = x_enc + self.rotate(self.proj_out(states).float(), known.shape[1])
        assert fused.shape[1] == b + known.shape[1]
        return self.mar.decode(fused, known, x_con)

    def see(self, prompts: list[list[int]], pictures: Tensor) -> Tensor:
        """Hidden states (R, T, D) of prompts with the pictures (R, N, C) at their placeholders."""
        return self.lm.states(self.embed(prompts, self.visual(self.mar.encode(pictures)))[0])

    def look(self, prompts: list[list[int]], visual: Tensor, kept: Tensor | int) -> Tensor:
        """The same by the tower: visual tokens (R, N, D), its projected ones, of which `kept` (R, K), in ascending order, have K placeholders; those left out leave their positions empty. A number: so many, by `spread`."""
        if isinstance(kept, int):
            kept = spread(visual.detach(), kept)
        x = self.embed(prompts, visual.gather(1, kept[..., None].expand(-1, -1, visual.shape[-1])))[0]
        (rows, count), start = kept.shape, prompts[0].index(IMAGE_TOKEN)
        positions = torch.arange(x.shape[1]).repeat(rows, 1)
        positions[:, start : start + count] = start + kept
        positions[:, start + count :] += visual.shape[1] - count
        return self.lm.states(x, positions)
