"""The KL autoencoder in plain PyTorch, with the official names. Pictures are (1, channels, height, width)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import Vae as Config
from unipic_graph import Record, silent


class Norm(nn.GroupNorm):
    def __init__(self, c: Config, channels: int):
        super().__init__(c.groups, channels, c.epsilon)


class Residual(nn.Module):
    def __init__(self, c: Config, channels: int, out: int):
        super().__init__()
        self.norm1 = Norm(c, channels)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.norm2 = Norm(c, out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.nin_shortcut = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        y = self.conv2(F.silu(self.norm2(y)))
        return self.nin_shortcut(x) + y


class Attention(nn.Module):
    """One head over all pixels."""

    def __init__(self, c: Config, channels: int):
        super().__init__()
        self.norm = Norm(c, channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        q, k, v = (conv(y).flatten(2).transpose(1, 2) for conv in (self.q, self.k, self.v))  # (1, pixels, channels)
        y = (q @ k.transpose(1, 2) * q.shape[-1] ** -0.5).softmax(-1) @ v
        return x + self.proj_out(y.transpose(1, 2).reshape(x.shape))


class Scale(nn.Module):
    """A convolution that halves the sides, with zeros to the right and below, or one that doubles them by repetition first."""

    def __init__(self, channels: int, down: bool):
        super().__init__()
        self.down = down
        self.conv = nn.Conv2d(channels, channels, 3, stride=2 if down else 1, padding=0 if down else 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)) if self.down else x.repeat_interleave(2, 2).repeat_interleave(2, 3))


class Middle(nn.Module):
    def __init__(self, c: Config, channels: int):
        super().__init__()
        self.block_1 = Residual(c, channels, channels)
        self.attn_1 = Attention(c, channels)
        self.block_2 = Residual(c, channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Level(nn.Module):
    """Residual blocks, each followed by attention where `attention`, then a change of size where `scale` is one."""

    def __init__(self, c: Config, channels: int, out: int, blocks: int, attention: bool, scale: str | None):
        super().__init__()
        self.block = nn.ModuleList(Residual(c, channels if i == 0 else out, out) for i in range(blocks))
        self.attn = nn.ModuleList(Attention(c, out) for _ in range(blocks if attention else 0))
        self.scale = scale
        if scale is not None:
            self.add_module(scale, Scale(out, scale == "downsample"))

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.block):
            x = block(x)
            if len(self.attn) > 0:
                x = self.attn[i](x)
        return x if self.scale is None else self.get_submodule(self.scale)(x)


class Encoder(nn.Module):
    def __init__(self, c: Config, channels: int):
        super().__init__()
        widths = [c.channels * m for m in c.multipliers]
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(3, c.channels, 3, padding=1)
        self.down = nn.ModuleList(
            Level(c, widths[i - 1] if i > 0 else c.channels, width, c.residual_blocks, i == last, None if i == last else "downsample")
            for i, width in enumerate(widths)
        )
        self.mid = Middle(c, widths[last])
        self.norm_out = Norm(c, widths[last])
        self.conv_out = nn.Conv2d(widths[last], 2 * channels, 3, padding=1)

    def forward(self, x: Tensor, record: Record) -> Tensor:
        x = self.conv_in(x)
        record("encoder.conv_in", x)
        for i, level in enumerate(self.down):
            x = level(x)
            record(f"encoder.down.{i}", x)
        x = self.mid(x)
        record("encoder.mid", x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Decoder(nn.Module):
    def __init__(self, c: Config, channels: int):
        super().__init__()
        widths = [c.channels * m for m in c.multipliers]
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(channels, widths[last], 3, padding=1)
        self.mid = Middle(c, widths[last])
        self.up = nn.ModuleList(
            Level(c, widths[min(i + 1, last)], width, c.residual_blocks + 1, False, None if i == 0 else "upsample")
            for i, width in enumerate(widths)
        )
        self.norm_out = Norm(c, widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, z: Tensor, record: Record) -> Tensor:
        x = self.conv_in(z)
        record("decoder.conv_in", x)
        x = self.mid(x)
        record("decoder.mid", x)
        for i in reversed(range(len(self.up))):
            x = self.up[i](x)
            record(f"decoder.up.{i}", x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Vae(nn.Module):
    """Pixels in [-1, 1], (1, 3, S, S), to tokens (N, C) of unit scale, and back."""

    def __init__(self, c: Config, channels: int):
        super().__init__()
        self.config = c
        self.encoder = Encoder(c, channels)
        self.decoder = Decoder(c, channels)
        self.quant_conv = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.post_quant_conv = nn.Conv2d(channels, channels, 1)

    def encode(self, pixels: Tensor, record: Record = silent) -> Tensor:
        moments = self.quant_conv(self.encoder(pixels, record))
        record("encoder.moments", moments)
        mean = moments.chunk(2, dim=1)[0]
        return mean[0].flatten(1).T * self.config.latent_scale

    def decode(self, tokens: Tensor, record: Record = silent) -> Tensor:
        grid = round(len(tokens) ** 0.5)
        z = (tokens / self.config.latent_scale).T.reshape(1, -1, grid, grid)
        z = self.post_quant_conv(z)
        record("decoder.post_quant_conv", z)
        return self.decoder(z, record)


def levels_to_rows(x: Tensor) -> Tensor:
    """(1, channels, height, width) to the engine's (height * width, channels)."""
    return x[0].flatten(1).T.contiguous()


def picture(pixels: Tensor) -> Tensor:
    """(1, 3, S, S) to whole numbers 0 to 255, (S, S, 3), cut off and not rounded."""
    return torch.clamp(127.5 * pixels + 128, 0, 255).floor()[0].permute(1, 2, 0)
