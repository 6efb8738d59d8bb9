"""What a training run takes from the machine: its device, its arithmetic, its time."""

import argparse
import time
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import torch


def choose_device() -> torch.device:
    """CUDA where there is one. On a CPU one thread: several runs beside each other scale better than one on several threads."""
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")
        return torch.device("cuda")
    torch.set_num_threads(1)
    return torch.device("cpu")


def multiplies_bf16(device: torch.device) -> bool:
    """Whether products in bf16 are faster there than in f32: on a GPU, and on a CPU that has the instructions."""
    return device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()


def autocast(device: torch.device) -> AbstractContextManager:
    return torch.autocast(device.type, torch.bfloat16, enabled=multiplies_bf16(device))


def add_clock_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, required=True, help="training time of the whole run: of the process's CPU, or of the clock on a GPU")
    parser.add_argument("--until", help="HH:MM in UTC: save and stop at that time of day; the same command resumes")
    parser.add_argument("--workers", type=int, help="processes that make batches; by default none on a CPU, all cores but two beside a GPU")


class Clock:
    """Training time so far, and whether the time of day to stop at has come.

    On a CPU it is the process's own time, so that a run learns as much on a machine that other work shares.
    """

    def __init__(self, device: torch.device, minutes: float, until: str | None):
        self.total, self.seconds = minutes * 60, 0.0
        self.now = time.monotonic if device.type == "cuda" else time.process_time
        self.last = self.now()
        self.stop = None
        if until is not None:
            now = datetime.now(timezone.utc)
            hour, minute = map(int, until.split(":"))
            self.stop = time.time() + ((now.replace(hour=hour, minute=minute, second=0) - now) % timedelta(days=1)).total_seconds()

    @property
    def progress(self) -> float:
        return self.seconds / self.total

    @property
    def running(self) -> bool:
        return self.progress < 1 and (self.stop is None or time.time() < self.stop)

    def start(self) -> None:
        """What was spent since the last step (loading, evaluation) is not counted."""
        self.last = self.now()

    def tick(self) -> float:
        """Counts the time since `start` or the last tick; its seconds."""
        now = self.now()
        took, self.last = now - self.last, now
        self.seconds += took
        return took


def save(path: Path, **state) -> None:
    """Never leaves half a checkpoint."""
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").rename(path)
