"""The diffusion of image tokens: cosine schedule, spacing, v prediction with learned variance, the sampler.

v = alpha eps - sigma x0 with alpha = sqrt(cumulative alpha), sigma = sqrt(1 - cumulative alpha); hence
eps = sigma x + alpha v and x0 = alpha x - sigma v. The second half of the outputs interpolates the
logarithm of the variance between the posterior's and beta's (Nichol and Dhariwal 2021).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def cosine_betas(steps: int, max_beta: float) -> Tensor:
    """f64 (steps,)."""
    def bar(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    return torch.tensor([min(1 - bar((i + 1) / steps) / bar(i / steps), max_beta) for i in range(steps)], dtype=torch.float64)


def spaced(steps: int, wanted: int) -> list[int]:
    """The training steps kept when sampling with `wanted`: rounded stride, first and last included."""
    if wanted == 1:
        return [0]
    stride, at, kept = (steps - 1) / (wanted - 1), 0.0, []
    for _ in range(wanted):
        kept.append(round(at))
        at += stride
    return kept


Normal = Callable[[int, int], Tensor]  # standard normal numbers of a shape


class Schedule:
    """Tables over the kept steps, f64; `steps` are their original indices, which the head is told."""

    def __init__(self, train_steps: int, max_beta: float, wanted: int | None = None):
        bars = torch.cumprod(1 - cosine_betas(train_steps, max_beta), 0)
        self.steps = list(range(train_steps)) if wanted is None else spaced(train_steps, wanted)
        bar = bars[self.steps]
        before = torch.cat([torch.ones(1, dtype=torch.float64), bar[:-1]])
        beta = 1 - bar / before
        self.alpha, self.sigma = bar.sqrt(), (1 - bar).sqrt()
        variance = beta * (1 - before) / (1 - bar)
        # The first posterior variance is 0: its logarithm is that of the second, as upstream has it.
        self.low = torch.cat([variance[1:2], variance[1:]]).log() if len(beta) > 1 else beta.log()
        self.high = beta.log()
        self.from_x0 = beta * before.sqrt() / (1 - bar)  # of the posterior's mean
        self.from_x = (1 - before) * (1 - beta).sqrt() / (1 - bar)


def losses(output: Tensor, x0: Tensor, noise: Tensor, t: Tensor, s: Schedule) -> tuple[Tensor, Tensor]:
    """Squared error of v and variational bound in bits, a row each; output (M, 2C), x0 and noise (M, C), t (M,)."""
    prediction, spread = output.chunk(2, -1)
    def at(table: Tensor) -> Tensor:
        return table[t].float()[:, None]

    alpha, sigma = at(s.alpha), at(s.sigma)
    error = (prediction - (alpha * noise - sigma * x0)).square().mean(-1)
    x = alpha * x0 + sigma * noise
    guess = (alpha * x - sigma * prediction).detach()
    low, high = at(s.low), at(s.high)
    log_variance = low + (spread + 1) / 2 * (high - low)
    gap = (at(s.from_x0) * (x0 - guess)).square()
    bound = 0.5 * (-1 + log_variance - low + torch.exp(low - log_variance) + gap * torch.exp(-log_variance))
    return error, bound.mean(-1) / math.log(2)


@torch.no_grad()
def sample(head, z: Tensor, z_free: Tensor | None, guidance: float, s: Schedule, temperature: float, normal: Normal) -> Tensor:
    """Tokens (M, C) for z (M, W); z_free: z of the unconditional rows, None without guidance.

    `normal` is asked for the first x, then once a step for as long as noise is added.
    """
    x = normal(len(z), head.input_proj.in_features)
    for i in reversed(range(len(s.steps))):
        t = torch.full((len(z),), s.steps[i])
        v, spread = head(x, t, z).chunk(2, -1)
        if z_free is not None:  # linear in v as in eps: x is the same for both
            free = head(x, t, z_free).chunk(2, -1)[0]
            v = free + guidance * (v - free)
        x0 = s.alpha[i].float() * x - s.sigma[i].float() * v
        x = s.from_x0[i].float() * x0 + s.from_x[i].float() * x
        if i > 0:
            log_variance = s.low[i].float() + (spread + 1) / 2 * (s.high[i] - s.low[i]).float()
            x = x + temperature * torch.exp(0.5 * log_variance) * normal(*x.shape)
    return x


@torch.no_grad()
def paint(model, prompts: list[list[int]], free: list[list[int]] | None, source: Tensor | None = None, iterations: int = 8,
          steps: int = 50, guidance: float = 3.0, temperature: float = 1.0, seed: int = 0, order: Tensor | None = None, normal: Normal | None = None) -> Tensor:
    """Tokens (R, N, C) of a picture a prompt, by unipic.md's loop; `free`: the unconditional prompts.

    `order` (R, N) and `normal` take the place of what the seed gives.
    """
    c, r = model.c, len(prompts)
    n = c.tokens
    generator = torch.Generator().manual_seed(seed)
    schedule = Schedule(c.train_steps, c.max_beta, steps)
    tokens = torch.zeros(r, n, c.token_channels)
    if order is None:
        order = torch.rand(r, n, generator=generator).argsort(1)  # the first L of it stay masked
    normal = normal or (lambda *shape: torch.randn(shape, generator=generator))
    masked = n
    for i in range(iterations):
        known = order[:, masked:].sort(1).values
        z = model.condition(prompts, tokens, known, source)
        z_free = model.condition(free, tokens, known, source) if free else None
        left = 0 if i == iterations - 1 else max(1, min(masked - 1, math.floor(n * math.cos(math.pi / 2 * (i + 1) / iterations))))
        now = order[:, left:masked]
        pick = now[..., None].expand(-1, -1, z.shape[-1])
        rows = sample(model.mar.diffloss["net"], z.gather(1, pick).reshape(-1, z.shape[-1]),
                      z_free.gather(1, pick).reshape(-1, z.shape[-1]) if free else None, guidance, schedule, temperature, normal)
        tokens = tokens.scatter(1, now[..., None].expand(-1, -1, c.token_channels), rows.reshape(r, -1, c.token_channels))
        masked = left
        if masked == 0:
            break
    return tokens
