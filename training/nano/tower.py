"""The tower that sees collages: SigLIP's graph (docs/unipic-format.md), small, and its projection to the language model.

Names are the format's: `siglip2.*` and `siglip2_proj.*`. Shapes: B pictures, N patches, V tower width, D language
model width.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class TowerConfig:
    """Sizes, named as the keys `unipic.siglip.*`."""

    image_size: int = 128
    patch_size: int = 8
    embedding_length: int = 192
    feed_forward_length: int = 768
    block_count: int = 6
    head_count: int = 4
    layer_norm_epsilon: float = 1e-6

    @property
    def grid(self) -> int:
        return self.image_size // self.patch_size

    @property
    def patches(self) -> int:
        return self.grid**2

    def to_dict(self) -> dict:
        return asdict(self)


class SelfAttention(nn.Module):
    """Bidirectional, with the four projections under SigLIP's names. Plain products: faster than the fused kernel in bf16 on a CPU."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, w = x.shape
        def split(y: Tensor) -> Tensor:
            return y.view(b, n, self.heads, w // self.heads).transpose(1, 2)

        q, k, v = split(self.q_proj(x) * (w // self.heads) ** -0.5), split(self.k_proj(x)), split(self.v_proj(x))
        if x.is_cuda:
            y = F.scaled_dot_product_attention(q, k, v, scale=1.0)
        else:
            y = (q @ k.transpose(-1, -2)).softmax(-1, dtype=v.dtype) @ v
        return self.out_proj(y.transpose(1, 2).reshape(b, n, w))


class Block(nn.Module):
    def __init__(self, c: TowerConfig):
        super().__init__()
        w = c.embedding_length
        self.layer_norm1 = nn.LayerNorm(w, eps=c.layer_norm_epsilon)
        self.self_attn = SelfAttention(w, c.head_count)
        self.layer_norm2 = nn.LayerNorm(w, eps=c.layer_norm_epsilon)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(w, c.feed_forward_length), "fc2": nn.Linear(c.feed_forward_length, w)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.layer_norm2(x)), approximate="tanh"))


def grid_waves(grid: int, width: int) -> Tensor:
    """(grid^2, width): sines and cosines of row and column, to start a table of positions from."""
    half = width // 4
    frequency = 10 ** (-torch.arange(half) / half) * torch.pi / 2
    at = torch.arange(grid)[:, None] * frequency
    waves = torch.cat([at.sin(), at.cos()], -1)  # (grid, width / 2)
    return torch.cat([waves[:, None].expand(grid, grid, -1), waves[None].expand(grid, grid, -1)], -1).reshape(grid * grid, -1)


class Tower(nn.Module):
    def __init__(self, c: TowerConfig):
        super().__init__()
        self.c = c
        w, p = c.embedding_length, c.patch_size
        self.embeddings = nn.ModuleDict({"patch_embedding": nn.Linear(3 * p * p, w), "position_embedding": nn.Embedding(c.patches, w)})
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(Block(c) for _ in range(c.block_count))})
        self.post_layernorm = nn.LayerNorm(w, eps=c.layer_norm_epsilon)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.zeros_(m.bias)
        self.embeddings["position_embedding"].weight.data.copy_(0.3 * grid_waves(c.grid, w))

    def forward(self, pictures: Tensor) -> Tensor:
        """pictures (B, S, S, 3) in -1..1 to (B, N, V)."""
        b, g, p = len(pictures), self.c.grid, self.c.patch_size
        rows = pictures.reshape(b, g, p, g, p, 3).permute(0, 1, 3, 2, 4, 5).reshape(b, g * g, -1)
        x = self.embeddings["patch_embedding"](rows).float() + self.embeddings["position_embedding"].weight
        for block in self.encoder["layers"]:
            x = block(x)
        return self.post_layernorm(x).float()


def projection(tower: int, language: int) -> nn.Sequential:
    """`siglip2_proj`: Linear, SiLU, Linear."""
    return nn.Sequential(nn.Linear(tower, language), nn.SiLU(), nn.Linear(language, language))
