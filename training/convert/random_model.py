"""A GGUF of random weights in an official model's full shapes, for benchmarks: speed and memory depend on shapes and formats only.

    python training/convert/random_model.py harmon-0.5b bench/files/harmon-0.5b.gguf [--language-format q8_0 ...]

Blocks are random bytes under a scale that keeps activations of the size that trained ones have; nothing is quantised, a gigabyte takes some
seconds. The same arguments give the same bytes. The vocabulary is synthetic: a byte is a token, the rest is filler, and the special tokens
stand where Qwen2.5 has them.
"""

import argparse
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gguf import TokenType

from convert import TYPES
from gguf_file import CHUNK, Formats, Tokenizer, Type, nbytes, write
from models import OFFICIAL, Model
from synthetic import ADDED, QWEN_TOKENS, vocabulary
from tensors import MATRIX, CONVOLUTION, TABLE, Entry, tensors
from vocabulary import IMAGE


def tokenizer(model: Model) -> Tokenizer:
    spec = vocabulary(QWEN_TOKENS)
    tokens = [*spec["model"]["vocab"], *ADDED, IMAGE]
    if tokens.index(IMAGE) != model.image_token_id:
        raise ValueError(f"<image> is {tokens.index(IMAGE)}, the model has {model.image_token_id}")
    kinds = [TokenType.NORMAL] * QWEN_TOKENS + [TokenType.CONTROL] * (len(tokens) - QWEN_TOKENS)
    return Tokenizer(tokens, kinds, [" ".join(pair) for pair in spec["model"]["merges"]], tokens.index("<|im_end|>"), tokens.index("<|endoftext|>"))


def random_blocks(entry: Entry, kind: Type, seed: int) -> Iterator[np.ndarray]:
    """Bytes of a tensor: norms 1, biases 0, tables of deviation 0.02, matrices of deviation 1 / sqrt(columns)."""
    r = np.random.Generator(np.random.SFC64([seed, zlib.crc32(entry.name.encode())]))
    shape = entry.stored
    if entry.kind not in (MATRIX, CONVOLUTION):
        if entry.kind == TABLE:
            yield (0.02 * r.standard_normal(shape, dtype=np.float32)).astype(np.float32)
        else:
            yield np.full(shape, 1 if entry.name.endswith("weight") else 0, dtype=np.float32)
        return
    deviation = shape[-1] ** -0.5
    total = int(np.prod(shape))
    for start in range(0, total, CHUNK):
        count = min(CHUNK, total - start)
        if kind in (Type.Q4_0, Type.Q8_0):
            # Nibbles less 8 have a deviation of 4.61, bytes one of 73.9.
            step = np.float16(deviation / (4.61 if kind == Type.Q4_0 else 73.9))
            blocks = np.frombuffer(r.bytes(nbytes((count,), kind)), dtype=np.uint8).reshape(count // 32, -1).copy()
            blocks[:, :2] = np.frombuffer(step.tobytes(), dtype=np.uint8)
            yield blocks
        else:
            values = deviation * r.standard_normal(count, dtype=np.float32)
            yield values.astype(np.float16 if kind == Type.F16 else np.float32)


def write_random(name: str, out: Path, formats: Formats, seed: int = 1) -> None:
    model = OFFICIAL[name]
    out.parent.mkdir(parents=True, exist_ok=True)
    write(out, model, tokenizer(model), tensors(model), formats, lambda entry, kind: random_blocks(entry, kind, seed), f"Random weights in the shapes of {model.name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=OFFICIAL)
    parser.add_argument("out", type=Path)
    parser.add_argument("--language-format", choices=TYPES, default="q4_0")
    parser.add_argument("--embedding-format", choices=TYPES, default="q8_0")
    parser.add_argument("--rest-format", choices=TYPES, default="q8_0")
    parser.add_argument("--vae-format", choices=TYPES, default="f16")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    began = time.monotonic()
    formats = Formats(TYPES[args.language_format], TYPES[args.embedding_format], TYPES[args.rest_format], TYPES[args.vae_format])
    write_random(args.kind, args.out, formats, args.seed)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
