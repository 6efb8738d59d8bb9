"""Writes a UniPic model as GGUF, tensor by tensor: the header with all names and sizes first, then the data as it comes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import gguf
import numpy as np
from torch import Tensor

from models import CHAT_TEMPLATE, Model, metadata
from tensors import LANGUAGE, MATRIX, CONVOLUTION, VAE, Entry

Type = gguf.GGMLQuantizationType
BLOCK = 32  # values in a block of Q4_0 and Q8_0
CHUNK = 1 << 22  # values quantised at once: some 60 MB with numpy's intermediates


@dataclass(frozen=True)
class Formats:
    """What matrices become. Vectors and tables are F32; a matrix whose columns 32 does not divide falls from a block format to F16."""

    language: Type = Type.Q4_0
    embedding: Type = Type.Q8_0  # it is the head too: what it loses is lost in every logit
    rest: Type = Type.Q8_0  # MAR, head, projections, SigLIP
    vae: Type = Type.F16

    def of(self, entry: Entry) -> Type:
        if entry.kind not in (MATRIX, CONVOLUTION):
            return Type.F32
        if entry.name in ("token_embd.weight", "output.weight"):
            wanted = self.embedding
        else:
            wanted = self.language if entry.part == LANGUAGE else self.vae if entry.part == VAE else self.rest
        return Type.F16 if wanted in (Type.Q4_0, Type.Q8_0) and entry.stored[-1] % BLOCK != 0 else wanted

    @staticmethod
    def all(kind: Type) -> "Formats":
        return Formats(kind, kind, kind, kind)


@dataclass(frozen=True)
class Tokenizer:
    """A byte-level BPE vocabulary in the order of its ids; `merges` are pairs with a space between."""

    tokens: Sequence[str]
    types: Sequence[int]
    merges: Sequence[str]
    end_of_turn: int
    padding: int


def nbytes(shape: Sequence[int], kind: Type) -> int:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    return int(np.prod(shape)) // block * size


def as_rows(entry: Entry, values: Tensor) -> Tensor:
    """The official tensor in our shape; convolutions from (out, in, y, x) to rows in (y, x, in) order."""
    if tuple(values.shape) != entry.shape:
        raise ValueError(f"{entry.official} has the shape {tuple(values.shape)}; this model has {entry.shape}: is it another model's checkpoint?")
    if entry.kind == CONVOLUTION:
        values = values.permute(0, 2, 3, 1)
    return values.reshape(entry.stored)


def encoded(name: str, values: Tensor, kind: Type) -> Iterator[np.ndarray]:
    """Bytes of a tensor's values in `kind`, in pieces. `values` may be mapped from a file, in any float type: a piece at a time is read."""
    rows = values.reshape(-1, values.shape[-1])
    step = max(1, CHUNK // rows.shape[1])
    for start in range(0, len(rows), step):
        piece = rows[start : start + step].float().contiguous().numpy()
        if not np.isfinite(piece).all():
            raise ValueError(f"{name} has values that are not finite: the checkpoint is damaged")
        if kind == Type.F32:
            yield piece
        elif kind == Type.F16:
            if np.abs(piece).max() > float(np.finfo(np.float16).max):
                raise ValueError(f"{name} has values beyond the range of F16; convert this part as f32 or q8_0")
            yield piece.astype(np.float16)
        else:
            yield gguf.quants.quantize(piece, kind)


def write(
    path: Path,
    model: Model,
    tokenizer: Tokenizer,
    entries: Iterable[Entry],
    formats: Formats,
    data: Callable[[Entry, Type], Iterator[np.ndarray]],
    description: str,
) -> None:
    """`data(entry, type)` gives a tensor's bytes in pieces. The file appears under `path` only when it is whole."""
    entries = list(entries)
    partial = path.with_name(path.name + ".part")
    try:
        _write(partial, model, tokenizer, entries, formats, data, description)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write(
    path: Path,
    model: Model,
    tokenizer: Tokenizer,
    entries: Sequence[Entry],
    formats: Formats,
    data: Callable[[Entry, Type], Iterator[np.ndarray]],
    description: str,
) -> None:
    out = gguf.GGUFWriter(path, "unipic")
    out.add_name(model.name)
    out.add_description(description)
    out.add_quantization_version(gguf.GGML_QUANT_VERSION)
    adders = {"u32": out.add_uint32, "f32": out.add_float32, "string": out.add_string, "u32[]": out.add_array, "f32[]": out.add_array}
    for key, kind, value in metadata(model):
        if kind.endswith("[]"):
            _add_array(out, key, value, gguf.GGUFValueType.UINT32 if kind == "u32[]" else gguf.GGUFValueType.FLOAT32)
        else:
            adders[kind](key, value)
    _add_tokenizer(out, tokenizer, model.language.vocabulary)
    for entry in entries:
        kind = formats.of(entry)
        # A type of numpy's that is no byte: the shape is taken as that of the values.
        out.add_tensor_info(entry.name, entry.stored, np.dtype(np.float32), nbytes(entry.stored, kind), raw_dtype=kind)
    try:
        out.write_header_to_file()
        out.write_kv_data_to_file()
        out.write_ti_data_to_file()
        files = out.fout
        assert files is not None and len(files) == 1
        file = files[0]
        out.write_padding(file, file.tell())
        for entry in entries:
            kind = formats.of(entry)
            _write_tensor(file, entry, nbytes(entry.stored, kind), data(entry, kind))
    finally:
        out.close()


def _write_tensor(file: BinaryIO, entry: Entry, size: int, pieces: Iterator[np.ndarray]) -> None:
    start = file.tell()
    for piece in pieces:
        file.write(memoryview(np.ascontiguousarray(piece)).cast("B"))
    if file.tell() - start != size:
        raise ValueError(f"{entry.name}: {file.tell() - start} bytes were written, {size} announced")
    file.write(bytes(-file.tell() % gguf.GGUF_DEFAULT_ALIGNMENT))


def _add_array(out: gguf.GGUFWriter, key: str, value: Sequence[float], element: gguf.GGUFValueType) -> None:
    out.add_key_value(key, list(value), gguf.GGUFValueType.ARRAY, sub_type=element)


def _add_tokenizer(out: gguf.GGUFWriter, tokenizer: Tokenizer, rows: int) -> None:
    """Ids beyond the vocabulary, which the embedding table has rows for, become unused tokens, as llama.cpp's converter does."""
    missing = range(len(tokenizer.tokens), rows)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list([*tokenizer.tokens, *(f"[PAD{i}]" for i in missing)])
    out.add_token_types([*tokenizer.types, *(gguf.TokenType.UNUSED for _ in missing)])
    out.add_token_merges(list(tokenizer.merges))
    out.add_eos_token_id(tokenizer.end_of_turn)
    out.add_pad_token_id(tokenizer.padding)
    out.add_add_bos_token(False)
    out.add_chat_template(CHAT_TEMPLATE)
