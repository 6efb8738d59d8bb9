"""The diffusion schedule and the ancestral sampler with learned variance and guidance, in f64."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

COLUMNS = ("step", "alpha", "sigma", "x0_from_x", "x0_from_eps", "mean_from_x0", "mean_from_x", "low_log_variance", "high_log_variance")


def cosine_betas(train_steps: int, max_beta: float) -> np.ndarray:
    """Noise added in each training step (Nichol & Dhariwal 2021, equation 17)."""

    def kept(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    return np.array([min(1 - kept((i + 1) / train_steps) / kept(i / train_steps), max_beta) for i in range(train_steps)])


def spaced_steps(train_steps: int, steps: int) -> list[int]:
    """Ascending; the stride is added up, then rounded to even at a half, as Python rounds."""
    stride = (train_steps - 1) / (steps - 1) if steps > 1 else 1.0
    at, out = 0.0, []
    for _ in range(steps):
        out.append(round(at))
        at += stride
    return out


def schedule(train_steps: int, max_beta: float, steps: int) -> np.ndarray:
    """(steps, COLUMNS), ascending in time; sampling runs from the last row to the first."""
    kept = np.cumprod(1 - cosine_betas(train_steps, max_beta))
    at = spaced_steps(train_steps, steps)
    now = kept[at]
    before = np.append(1.0, now[:-1])
    beta = 1 - now / before
    variance = beta * (1 - before) / (1 - now)
    low = np.log(np.append(variance[1], variance[1:])) if steps > 1 else np.log(beta)
    return np.stack(
        [
            np.array(at, dtype=np.float64),
            np.sqrt(now),
            np.sqrt(1 - now),
            np.sqrt(1 / now),
            np.sqrt(1 / now - 1),
            beta * np.sqrt(before) / (1 - now),
            (1 - before) * np.sqrt(now / before) / (1 - now),
            low,
            np.log(beta),
        ],
        axis=1,
    )


@dataclass(frozen=True)
class Sampling:
    max_beta: float
    steps: int
    prediction: str = "eps"
    guidance: float = 1.0  # 1: one row; otherwise a conditional and an unconditional one
    temperature: float = 1.0
    train_steps: int = 1000


def sample(
    head: Callable[[Tensor, Tensor, Tensor], Tensor],
    z: Tensor,
    initial: Tensor,
    noise: Tensor,
    how: Sampling,
    after: Callable[[int, Tensor], None] = lambda done, x: None,
) -> Tensor:
    """z (rows, n, W), conditional first; initial (n, C); noise (steps, n, C) in the order in which it is used: the tokens (n, C).

    `after` gets the number of steps done and x. All rows share one x; the variance is the conditional row's.
    """
    table = schedule(how.train_steps, how.max_beta, how.steps)
    x, (n, channels) = initial, initial.shape
    for done, row in enumerate(reversed(table)):
        step, alpha, sigma, x0_from_x, x0_from_eps, mean_from_x0, mean_from_x, low, high = (float(v) for v in row)
        out = head(x.repeat(len(z), 1), torch.full((len(z) * n,), step), z.flatten(0, 1)).view(len(z), n, 2 * channels)
        value, mix = out[0, :, :channels], (out[0, :, channels:] + 1) / 2
        if len(z) == 2:
            free = out[1, :, :channels]
            value = free + how.guidance * (value - free)
        eps = value if how.prediction == "eps" else sigma * x + alpha * value
        x0 = x0_from_x * x - x0_from_eps * eps
        mean = mean_from_x0 * x0 + mean_from_x * x
        last = done == how.steps - 1
        x = mean if last else mean + noise[done] * how.temperature * torch.exp((mix * high + (1 - mix) * low) / 2)
        after(done + 1, x)
    return x
