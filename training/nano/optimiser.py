"""Muon for the hidden matrices, AdamW for the rest (embedding, biases, norms).

Muon: Jordan et al. 2024; the update is scaled by 0.2 sqrt(max(rows, columns)) so that one learning
rate serves both optimisers (Moonlight, arXiv 2502.16982).
"""

import torch
from torch import Tensor

from machine import multiplies_bf16


def orthogonalise(g: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz iteration towards U V^T of each matrix in g (N, rows, columns), in bf16 where the device multiplies it."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16() if multiplies_bf16(g.device) else g
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Momentum, Nesterov, orthogonalised; matrices of one shape are treated in one batched product."""

    def __init__(self, params, lr: float, momentum: float = 0.95, weight_decay: float = 0.02):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    by_shape.setdefault(p.shape, []).append(p)
            for shape, params in by_shape.items():
                updates = []
                for p in params:
                    m = self.state[p].setdefault("momentum", torch.zeros_like(p))
                    m.lerp_(p.grad, 1 - group["momentum"])
                    updates.append(p.grad.lerp(m, group["momentum"]))
                scale = 0.2 * max(shape) ** 0.5
                for p, u in zip(params, orthogonalise(torch.stack(updates))):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(u, alpha=-group["lr"] * scale)


def build(model: torch.nn.Module, lr: float) -> list[torch.optim.Optimizer]:
    """The two optimisers for a Nano model."""
    hidden = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [Muon(hidden, lr), torch.optim.AdamW(rest, lr, betas=(0.9, 0.95), weight_decay=0.0)]
