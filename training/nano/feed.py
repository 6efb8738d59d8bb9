"""Batches made by other processes while the device works: a GPU is many times faster than the Python that draws its pictures.

A maker is called with (step, progress) and gives a batch on the CPU; it must be picklable before its first call, and
its batches must depend on nothing else, so that it does not matter where they are made.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import fields, is_dataclass, replace
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor

Maker = Callable[[int, float], Any]
AHEAD = 3  # batches a worker
_maker: Maker | None = None


def _begin(maker: Maker) -> None:
    global _maker
    torch.set_num_threads(1)
    _maker = maker


def _make(step: int, progress: float) -> Any:
    assert _maker is not None
    torch.manual_seed(step)
    return _maker(step, progress)


def moved(batch: Any, device: torch.device) -> Any:
    """The batch (a tensor, a tuple, or a dataclass of such) on a device."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, tuple):
        return tuple(moved(part, device) for part in batch)
    if is_dataclass(batch) and not isinstance(batch, type):
        return replace(batch, **{f.name: moved(getattr(batch, f.name), device) for f in fields(batch)})
    return batch


class Feed:
    """The batches of one step after the other; `workers` 0: made when they are asked for, in this process."""

    def __init__(self, maker: Maker, device: torch.device, workers: int | None = None):
        self.device, self.maker = device, maker
        self.workers = workers if workers is not None else max(1, (os.cpu_count() or 2) - 2) if device.type == "cuda" else 0
        self.pool = ProcessPoolExecutor(self.workers, get_context("spawn"), _begin, (maker,)) if self.workers else None
        self.waiting: dict[int, Future] = {}

    def get(self, step: int, progress: float) -> Any:
        """The progress of batches that are made ahead is that of the moment when they are ordered."""
        if self.pool is None:
            return moved(self.maker(step, progress), self.device)
        for later in range(step, step + AHEAD * self.workers):
            if later not in self.waiting:
                self.waiting[later] = self.pool.submit(_make, later, progress)
        return moved(self.waiting.pop(step).result(), self.device)

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
