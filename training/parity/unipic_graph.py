"""MAR, the projections and the diffusion head in plain PyTorch, with the official names, so that a state dict converts by renaming.

R rows (prompts), N = grid x grid image tokens, B buffers, K known tokens, C token channels, W MAR width, H head width.
`record` is called with a stage's name and value as it is computed.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import Model

Record = Callable[[str, Tensor], None]


def silent(name: str, value: Tensor) -> None:
    """Records nothing."""


def mlp(columns: int, hidden: int, rows: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(columns, hidden), nn.SiLU(), nn.Linear(hidden, rows))


class Attention(nn.Module):
    """Bidirectional self-attention of (R, T, W)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        r, t, w = x.shape
        q, k, v = self.qkv(x).view(r, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(w // self.heads)).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(r, t, w))


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int, epsilon: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, epsilon)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, epsilon)
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TimeEmbedding(nn.Module):
    """Steps (n) to (n, H): 256 sinusoids, cosines first."""

    def __init__(self, width: int):
        super().__init__()
        self.mlp = mlp(256, width, width)

    def forward(self, step: Tensor) -> Tensor:
        weight = self.mlp[0].weight
        frequency = torch.exp(torch.arange(128, dtype=weight.dtype) * (-math.log(10000) / 128))
        angle = step.to(weight.dtype)[:, None] * frequency
        return self.mlp(torch.cat([angle.cos(), angle.sin()], dim=-1))


class ResidualBlock(nn.Module):
    def __init__(self, width: int, epsilon: float):
        super().__init__()
        self.in_ln = nn.LayerNorm(width, epsilon)
        self.mlp = mlp(width, width, width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 3 * width))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        shift, scale, gate = self.adaLN_modulation(y).chunk(3, dim=-1)
        return x + gate * self.mlp(self.in_ln(x) * (1 + scale) + shift)


class FinalLayer(nn.Module):
    def __init__(self, width: int, out: int, epsilon: float):
        super().__init__()
        self.epsilon = epsilon
        self.linear = nn.Linear(width, out)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(y).chunk(2, dim=-1)
        return self.linear(F.layer_norm(x, x.shape[-1:], eps=self.epsilon) * (1 + scale) + shift)


class Head(nn.Module):
    """Noisy tokens x (n, C), steps (n) and conditions z (n, W) to (n, 2C): prediction, then the variance's interpolation."""

    def __init__(self, model: Model):
        super().__init__()
        c, h = model.token_channels, model.diffusion.width
        self.time_embed = TimeEmbedding(h)
        self.cond_embed = nn.Linear(model.mar.width, h)
        self.input_proj = nn.Linear(c, h)
        self.res_blocks = nn.ModuleList(ResidualBlock(h, model.mar.epsilon) for _ in range(model.diffusion.blocks))
        self.final_layer = FinalLayer(h, 2 * c, model.mar.epsilon)

    def forward(self, x: Tensor, step: Tensor, z: Tensor, record: Record = silent) -> Tensor:
        time = self.time_embed(step)
        record("time", time)
        y = time + self.cond_embed(z)
        x = self.input_proj(x)
        for i, block in enumerate(self.res_blocks):
            x = block(x, y)
            record(f"block.{i}", x)
        return self.final_layer(x, y)


class DiffusionLoss(nn.Module):
    def __init__(self, model: Model):
        super().__init__()
        self.net = Head(model)


class Mar(nn.Module):
    """Tables are (1, n, W), as upstream has them; image tokens are in raster order, buffers before them."""

    def __init__(self, model: Model):
        super().__init__()
        c = model.mar
        w, n = c.width, c.grid * c.grid
        self.config = c
        self.fake_latent = nn.Parameter(torch.zeros(1, w))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, w))
        self.encoder_pos_embed_learned = nn.Parameter(torch.zeros(1, c.buffers + n, w))
        self.decoder_pos_embed_learned = nn.Parameter(torch.zeros(1, c.buffers + n, w))
        self.diffusion_pos_embed_learned = nn.Parameter(torch.zeros(1, n, w))
        self.z_proj = nn.Linear(model.token_channels, w)
        self.z_proj_ln = nn.LayerNorm(w, c.epsilon)
        self.encoder_blocks = nn.ModuleList(Block(w, c.heads, c.mlp, c.epsilon) for _ in range(c.encoder_blocks))
        self.encoder_norm = nn.LayerNorm(w, c.epsilon)
        self.decoder_embed = nn.Linear(w, w)
        self.decoder_blocks = nn.ModuleList(Block(w, c.heads, c.mlp, c.epsilon) for _ in range(c.decoder_blocks))
        self.decoder_norm = nn.LayerNorm(w, c.epsilon)
        self.diffloss = DiffusionLoss(model)

    def positions(self, table: Tensor, grid: int) -> Tensor:
        """The table's buffers as they are and its image part at `grid` x `grid`: (rows, W)."""
        native = self.config.grid
        buffers, image = table[0].split([table.shape[1] - native * native, native * native])
        if grid == native:
            return table[0]
        image = image.T.reshape(1, -1, native, native)
        image = F.interpolate(image, size=(grid, grid), mode="bilinear", align_corners=False)
        return torch.cat([buffers, image[0].flatten(1).T])

    def encode(self, tokens: Tensor, known: Tensor, grid: int, record: Record = silent) -> Tensor:
        """tokens (R, N, C), of which `known` (K, ascending) are there: x_enc (R, B + K, W)."""
        buffers = self.config.buffers
        position = self.positions(self.encoder_pos_embed_learned, grid)
        image = self.z_proj(tokens[:, known]) + position[buffers + known]
        front = (self.fake_latent + position[:buffers]).expand(len(tokens), -1, -1)
        x = self.z_proj_ln(torch.cat([front, image], dim=1))
        record("z_proj_ln", x)
        for i, block in enumerate(self.encoder_blocks):
            x = block(x)
            record(f"encoder.{i}", x)
        x = self.encoder_norm(x)
        record("x_enc", x)
        return x

    def decode(self, x: Tensor, known: Tensor, grid: int, source: Tensor | None = None, record: Record = silent) -> Tensor:
        """Fused x (R, B + K, W) to z (R, N, W). Unknown places hold the mask token or, in editing, what `source` (1, B + N, W), the encoded picture, has."""
        buffers, n = self.config.buffers, grid * grid
        x = self.decoder_embed(x)
        empty = self.mask_token if source is None else self.decoder_embed(source)
        full = empty.expand(len(x), buffers + n, -1).clone()
        full[:, torch.cat([torch.arange(buffers), buffers + known])] = x
        x = full + self.positions(self.decoder_pos_embed_learned, grid)
        record("decoder_input", x)
        for i, block in enumerate(self.decoder_blocks):
            x = block(x)
            record(f"decoder.{i}", x)
        z = self.decoder_norm(x)[:, buffers:] + self.positions(self.diffusion_pos_embed_learned, grid)
        record("z", z)
        return z
