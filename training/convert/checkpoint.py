"""Official files as tensors by name, mapped and not read: pickles (weights only), safetensors, and folders of either."""

import ctypes
import json
import mmap
import pickle
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

WRAPPERS = ("state_dict", "model", "module")


class CheckpointError(Exception):
    """What is wrong with the files that were given, and what to do."""


class Lazy(Mapping[str, Tensor]):
    """The tensors of a safetensors file, each mapped when it is asked for."""

    def __init__(self, path: Path):
        self.file = safe_open(path, framework="pt")
        self.names = set(self.file.keys())

    def __getitem__(self, name: str) -> Tensor:
        return self.file.get_tensor(name)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class Chain(Mapping[str, Tensor]):
    """The tensors of several files."""

    def __init__(self, parts: list[Mapping[str, Tensor]]):
        self.where = {name: part for part in parts for name in part}

    def __getitem__(self, name: str) -> Tensor:
        return self.where[name][name]

    def __contains__(self, name: object) -> bool:
        return name in self.where

    def __iter__(self) -> Iterator[str]:
        return iter(self.where)

    def __len__(self) -> int:
        return len(self.where)


def open_checkpoint(path: Path) -> Mapping[str, Tensor]:
    """A file, or a folder of *.safetensors or *.bin (shards too)."""
    if path.is_dir():
        files = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin"))
        if not files:
            raise CheckpointError(f"{path} has neither *.safetensors nor *.bin")
        return Chain([open_checkpoint(file) for file in files])
    if not path.is_file():
        raise CheckpointError(f"{path} is not there")
    return Lazy(path) if path.suffix == ".safetensors" else _pickle(path)


def _pickle(path: Path) -> dict[str, Tensor]:
    """A pickle that holds tensors only; code in it is refused, not run."""
    # Files saved before PyTorch 1.6 are no zip archives, cannot be mapped, and are read as a whole.
    mapped = zipfile.is_zipfile(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        problem = next((line for line in str(error).splitlines() if "Unsupported" in line), str(error).split("\n")[0])
        raise CheckpointError(f"{path} is no PyTorch checkpoint, is damaged, or holds code, which is not run: {problem}") from error
    for wrapper in WRAPPERS:
        inner = loaded.get(wrapper) if isinstance(loaded, dict) else None
        if isinstance(inner, dict):
            loaded = inner
            break
    if not isinstance(loaded, dict):
        raise CheckpointError(f"{path} holds a {type(loaded).__name__}, no table of tensors")
    return {name: value for name, value in loaded.items() if isinstance(name, str) and isinstance(value, Tensor)}


def release(tensor: Tensor) -> None:
    """Gives the pages of a mapped tensor back: they are clean, and would otherwise count as memory in use until something else needs it."""
    if not sys.platform.startswith("linux"):
        return
    page = mmap.PAGESIZE
    start = -(-tensor.untyped_storage().data_ptr() // page) * page
    length = (tensor.untyped_storage().data_ptr() + tensor.untyped_storage().nbytes() - start) // page * page
    if length > 0 and _mapped_file(start):
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), mmap.MADV_DONTNEED)


def _mapped_file(address: int) -> bool:
    """Whether the address lies in a file's mapping: anonymous memory would lose its contents."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, *rest = line.split()
            begin, end = (int(part, 16) for part in span.split("-"))
            if begin <= address < end:
                return len(rest) >= 5 and rest[4].startswith("/")
    return False


def read_json(path: Path) -> dict:
    if not path.is_file():
        raise CheckpointError(f"{path} is not there; give the language model's folder with config.json, tokenizer.json and tokenizer_config.json")
    return json.loads(path.read_text(encoding="utf-8"))
