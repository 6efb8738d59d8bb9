"""What visual tokens tell the language model: where they stand, and what they show, in its own words.

A language model finds what is at a place by the positions of its tokens. Where a thing is, it can only read from the thing's
tokens, which it finds if they resemble the thing's name as a word that is repeated does; and a tower that was trained to name
patches has nearly forgotten their places at its end, and names them in a way of its own.

The first PLACES channels are made to tell the place: half a wave and a whole one over the rows, and over the columns.
`install_places` fits this by least squares to what the tower still knows; `places_loss` lets the tower's last block tell it
better; `names_loss` turns the tokens of a thing towards the embedding of its name, and those of a printed letter towards the letter's.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from batches import Codec
from collage import SHAPES
from collage_render import LABELS
from drawings import WORDS
from tower import TowerConfig
from unipic import UniPic

PLACES = 8
RIDGE = 1e-3
SHARPNESS = 12.0  # of the names' likelihood by the cosine with their embeddings


def code(c: TowerConfig) -> Tensor:
    """(N, PLACES)."""
    angle = torch.pi * (torch.arange(c.grid) + 0.5)[:, None] / c.grid * torch.arange(1, 1 + PLACES // 4)
    waves = torch.cat([angle.sin(), angle.cos()], -1)  # (grid, PLACES / 2)
    return torch.cat([waves[:, None].expand(-1, c.grid, -1), waves[None].expand(c.grid, -1, -1)], -1).flatten(0, 1)


def places_loss(visual: Tensor, c: TowerConfig) -> Tensor:
    """Mean square of what the visual tokens (R, N, D) say of their places less what is so."""
    return F.mse_loss(visual[..., :PLACES], code(c).to(visual).expand(len(visual), -1, -1))


@torch.no_grad()
def install_places(model: UniPic, pictures: Tensor) -> None:
    """Makes the projection write the code of places, fitted on pictures (R, S, S, 3).

    It takes two hidden units a channel, those that matter least, since silu(z) - silu(-z) = z.
    """
    first, _, last = model.siglip2_proj
    x = torch.cat([model.siglip2(part) for part in pictures.split(32)])
    rows = torch.cat([x, torch.ones_like(x[..., :1])], -1).flatten(0, 1)
    expected = code(model.siglip2.c).repeat(len(x), 1)
    fit = torch.linalg.solve(rows.T @ rows + RIDGE * len(rows) * torch.eye(rows.shape[1]), rows.T @ expected)
    hidden = F.silu(first(x)).flatten(0, 1)
    units = (hidden.std(0) * last.weight.norm(dim=0)).argsort()[: 2 * PLACES]
    last.bias += last.weight[:, units] @ hidden[:, units].mean(0)
    last.weight[:, units] = 0
    last.weight[:PLACES] = 0
    last.bias[:PLACES] = 0
    for sign, own in ((1.0, units[:PLACES]), (-1.0, units[PLACES:])):
        first.weight[own], first.bias[own] = sign * fit[:-1].T, sign * fit[-1]
        last.weight[torch.arange(PLACES), own] = sign


def name_ids(codec: Codec) -> list[list[int]]:
    """The tokens of each of LABELS as answers have them: a name after a space, a letter or digit within a word; none for ground."""
    named = {*WORDS, *SHAPES}
    return [codec.ids(f" {label}" if label in named else label) for label in LABELS]


def name_table(ids: list[list[int]], embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """The unit embeddings of LABELS, (labels, D), and which of them have a name, (labels,)."""
    rows = [embeddings[i].mean(0) if i else torch.zeros_like(embeddings[0]) for i in ids]
    return F.normalize(torch.stack(rows), dim=-1), torch.tensor([bool(i) for i in ids], device=embeddings.device)


def names_loss(visual: Tensor, labels: Tensor, ids: list[list[int]], embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy of the names of patches, given their visual tokens (R, N, D), by likeness with the names' embeddings (vocabulary, D), and the share that is right.

    labels (R, N): indices in LABELS; patches without a name are not asked.
    """
    table, known = name_table(ids, embeddings.detach())
    asked = (labels >= 0) & known[labels.clamp(min=0)]
    scores = (SHARPNESS * F.normalize(visual[asked], dim=-1) @ table.T).masked_fill(~known, float("-inf"))
    return F.cross_entropy(scores, labels[asked]), (scores.argmax(-1) == labels[asked]).float().mean()
