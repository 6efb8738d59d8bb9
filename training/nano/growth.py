"""A picture half of larger sizes that begins where a smaller one has ended, instead of at random.

    grown(read("nano.gguf"), before, UniPic(text, after).state_dict(), after)

What the small one computes stays in the first columns of the large one, nearly as it was: rows that are added to a
matrix are zero, so that nothing new is written, and columns that are added keep the random start, so that the zero
rows learn. A token's place becomes the places of the finer grid that cover it. Layer norms divide by the deviation over
more columns, which their weights make up for. What depends on the image tokenizer (what goes into `z_proj`, and into and out of
the diffusion head) begins at random.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from unipic import PictureConfig

CHANNELS = ("mar.z_proj.", "mar.diffloss.net.input_proj.", "mar.diffloss.net.final_layer.linear.")  # of the image tokenizer
NORMS = (".norm1.", ".norm2.", "_norm.", "z_proj_ln.")
WRITES = (".attn.proj.", ".mlp.fc2.")  # what a block adds to the stream
SCATTER = 0.1  # noise on the places of a finer grid, of their deviation, that tells them apart


def grown(small: dict[str, Tensor], before: "PictureConfig", fresh: dict[str, Tensor], after: "PictureConfig") -> dict[str, Tensor]:
    """`fresh`, the random start of the large picture half, with the small one's weights inside; both by the names of unipic.py. Other parts are not returned."""
    if before.head_count != after.head_count or before.buffer_count != after.buffer_count or after.grid % before.grid:
        raise ValueError(f"{before} cannot grow to {after}: heads and buffers stay, and the grid is a multiple")
    found = {}
    for name, start in fresh.items():
        if not name.startswith(("mar.", "proj_")):
            continue
        found[name] = start.clone()
        if name.startswith(CHANNELS):
            continue
        if name not in small:  # a block more: it adds nothing until it is trained
            if any(part in name for part in WRITES):
                found[name] = torch.zeros_like(start)
        elif "_pos_embed_" in name:
            found[name] = places(small[name], before, start, after)
        elif ".attn.qkv." in name:
            found[name] = attention(small[name], start, before.head_count)
        elif ".attn.proj.weight" in name:
            heads = before.head_count
            found[name] = placed(small[name].unflatten(1, (heads, -1)), start.unflatten(1, (heads, -1))).flatten(1)
        elif any(part in name for part in NORMS):
            found[name][: len(small[name])] = small[name] * (len(small[name]) / len(start)) ** 0.5 if name.endswith(".weight") else small[name]
        else:
            found[name] = placed(small[name], start)
    return found


def placed(small: Tensor, start: Tensor) -> Tensor:
    """`small` in the first rows and columns of `start`; rows behind it are zero, columns are those of `start`."""
    out = start.clone()
    out[small.shape[0] :] = 0
    out[tuple(slice(n) for n in small.shape)] = small
    return out


def attention(small: Tensor, start: Tensor, heads: int) -> Tensor:
    """Queries, keys and values, (3 heads x channels, ...). Queries make up for the scale by a head's width; new channels of keys stay random, for with zeros in both neither would learn."""
    s, x = small.unflatten(0, (3, heads, -1)), start.unflatten(0, (3, heads, -1))
    out = x.clone()
    n = s.shape[2]
    out[0, :, n:] = out[2, :, n:] = 0
    inner = (slice(None), slice(None), *(slice(k) for k in s.shape[2:]))
    out[inner] = s
    out[0, :, :n] *= (x.shape[2] / n) ** 0.5
    return out.flatten(0, 2)


def places(small: Tensor, before: "PictureConfig", start: Tensor, after: "PictureConfig") -> Tensor:
    """A table of places, (buffers + tokens, width) or (tokens, width)."""
    buffers, times = len(small) - before.tokens, after.grid // before.grid
    grid = small[buffers:].reshape(before.grid, before.grid, -1).repeat_interleave(times, 0).repeat_interleave(times, 1).flatten(0, 1)
    grid = grid + SCATTER * grid.std() * torch.randn(grid.shape)
    out = torch.zeros_like(start)
    out[:, : small.shape[1]] = torch.cat([small[:buffers], grid])
    return out
