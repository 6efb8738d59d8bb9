"""A checkpoint with the official names and shapes and random values, converted and compared: the official files cannot be had where this is built.

    python training/convert/synthetic.py --kind harmon-0.5b --folder synthetic [--language-layers 4] [--keep]

Writes checkpoint.bin (flat pickle, bf16, with what official files hold beside the model), kl16.ckpt (f32) and language/ with a vocabulary
as large as Qwen2.5's; converts them by convert.py in a process of its own, whose memory is measured; then checks that every tensor was
found, that none was left over, and that every value is within the error of its format.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import torch
from torch import Tensor

from checkpoint import open_checkpoint, release
from gguf_file import CHUNK, as_rows
from models import OFFICIAL, Model
from tensors import VAE, Entry, tensors

QWEN_TOKENS = 151643  # ordinary ones; the added ones follow
ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|added_{i}|>" for i in range(19))]  # 22, as Qwen2.5 has: up to 151664


def extras(model: Model) -> dict[str, tuple[int, ...]]:
    """What the official checkpoint holds and the graph does not use."""
    out = {"mar.class_emb.weight": (1000, model.mar.width)}
    if model.siglip is not None:
        v = model.siglip.width
        out |= {"siglip2.vision_model.head.probe": (1, 1, v), "siglip2.vision_model.head.attention.in_proj_weight": (3 * v, v)}
    return out


def values(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Normal; matrices so that products keep their size."""
    scale = 1.0 if len(shape) == 1 else float(np.prod(shape[1:])) ** -0.5
    return (torch.randn(shape, generator=generator) * scale).to(dtype)


def vocabulary(tokens: int) -> dict:
    """tokenizer.json of a byte-level BPE with `tokens` ordinary tokens and Qwen's added ones behind them."""
    alphabet = list(gpt2_bytes())
    ordinary = [*alphabet, "zq", *(f"[t{i}]" for i in range(tokens - len(alphabet) - 1))]
    return {
        "model": {"type": "BPE", "vocab": {token: i for i, token in enumerate(ordinary)}, "merges": [["z", "q"]]},
        "added_tokens": [{"id": tokens + i, "content": token, "special": i < 10} for i, token in enumerate(ADDED)],
    }


def gpt2_bytes() -> Iterator[str]:
    """GPT-2's printable character for every byte."""
    extra = 256
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174:
            yield chr(byte)
        else:
            yield chr(extra)
            extra += 1


def write_language(model: Model, folder: Path, tokens: int) -> None:
    lm = model.language
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "qwen2",
        "vocab_size": lm.vocabulary,
        "hidden_size": lm.width,
        "num_hidden_layers": lm.layers,
        "num_attention_heads": lm.heads,
        "num_key_value_heads": lm.kv_heads,
        "intermediate_size": lm.mlp,
        "max_position_embeddings": lm.context,
        "rms_norm_eps": lm.epsilon,
        "rope_theta": lm.theta,
        "tie_word_embeddings": lm.tied,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(vocabulary(tokens)))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}))


def write_checkpoint(model: Model, folder: Path, tokens: int, seed: int = 1) -> None:
    """checkpoint.bin, kl16.ckpt and language/ under `folder`."""
    generator = torch.Generator().manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    flat, vae = {}, {}
    for entry in tensors(model):
        if entry.part == VAE:
            vae[entry.official] = values(entry.shape, torch.float32, generator)
        else:
            flat[entry.official] = values(entry.shape, torch.bfloat16, generator)
    flat |= {name: values(shape, torch.bfloat16, generator) for name, shape in extras(model).items()}
    if model.language.tied:
        flat["llm.lm_head.weight"] = flat["llm.model.embed_tokens.weight"]
    torch.save(flat, folder / "checkpoint.bin")
    torch.save({"model": vae}, folder / "kl16.ckpt")
    write_language(model, folder / "language", tokens)


def bound(rows: np.ndarray, kind: gguf.GGMLQuantizationType) -> np.ndarray:
    """The largest error that a format may make, for every value."""
    if kind == gguf.GGMLQuantizationType.F32:
        return np.zeros_like(rows)
    if kind == gguf.GGMLQuantizationType.F16:
        return np.abs(rows) * 2.0**-11 + 2.0**-25
    blocks = rows.reshape(-1, 32)
    largest = np.abs(blocks).max(axis=1, keepdims=True)
    # Q8_0: half a step of largest / 127; Q4_0: steps of largest / 8, a whole one at the end that has no value. And the scale's rounding to f16.
    share = 0.5 / 127 if kind == gguf.GGMLQuantizationType.Q8_0 else 1 / 8
    return np.broadcast_to(largest * (share + 2.0**-10) + 2.0**-18, blocks.shape).reshape(rows.shape)


def compare(path: Path, model: Model, folder: Path) -> dict[str, float]:
    """Raises at the first value beyond its bound; gives the NMSE by format."""
    flat, vae = open_checkpoint(folder / "checkpoint.bin"), open_checkpoint(folder / "kl16.ckpt")
    written = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    expected: list[Entry] = list(tensors(model))
    if set(written) != {entry.name for entry in expected}:
        raise AssertionError(f"other tensors than expected: {set(written) ^ {entry.name for entry in expected}}")
    error: dict[str, list[float]] = {}
    for entry in expected:
        tensor = written[entry.name]
        if tuple(reversed(tensor.shape.tolist())) != entry.stored:
            raise AssertionError(f"{entry.name}: {tensor.shape.tolist()}, expected {entry.stored}")
        source = (vae if entry.part == VAE else flat)[entry.official]
        rows = as_rows(entry, source).reshape(-1, entry.stored[-1])
        found = tensor.data.reshape(len(rows), -1)
        step = max(1, CHUNK // rows.shape[1])
        sums = error.setdefault(tensor.tensor_type.name, [0.0, 0.0])
        for start in range(0, len(rows), step):
            wanted = rows[start : start + step].float().numpy()
            got = gguf.quants.dequantize(found[start : start + step], tensor.tensor_type)
            gap = np.abs(got - wanted)
            if not (gap <= bound(wanted, tensor.tensor_type)).all():
                raise AssertionError(f"{entry.name}: an error of {gap.max()} in {tensor.tensor_type.name}")
            sums[0] += float((gap.astype(np.float64) ** 2).sum())
            sums[1] += float((wanted.astype(np.float64) ** 2).sum())
        release(source)
    return {kind: wrong / power for kind, (wrong, power) in error.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=OFFICIAL, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--language-layers", type=int, help="fewer layers than the official ones, to save disk and time")
    parser.add_argument("--mar-blocks", type=int)
    parser.add_argument("--keep", action="store_true", help="do not delete the files")
    args = parser.parse_args()
    torch.set_num_threads(2)
    model = OFFICIAL[args.kind]
    if args.language_layers:
        model = replace(model, language=replace(model.language, layers=args.language_layers))
    if args.mar_blocks:
        model = replace(model, mar=replace(model.mar, encoder_blocks=args.mar_blocks, decoder_blocks=args.mar_blocks))
    began = time.monotonic()
    write_checkpoint(model, args.folder, QWEN_TOKENS)
    size = sum(file.stat().st_size for file in args.folder.rglob("*") if file.is_file())
    print(f"written: {size / 1e9:.2f} GB of {sum(int(np.prod(entry.shape)) for entry in tensors(model)) / 1e6:.0f} M parameters in {time.monotonic() - began:.0f} s", flush=True)
    out, report = args.folder / "model.gguf", args.folder / "report.json"
    command = [sys.executable, Path(__file__).parent / "convert.py", "--kind", args.kind, "--checkpoint", args.folder / "checkpoint.bin"]
    command += ["--vae", args.folder / "kl16.ckpt", "--language", args.folder / "language", "--out", out, "--report", report]
    subprocess.run(command, check=True)
    facts = json.loads(report.read_text())
    if facts["missing"] or facts["unused"]:
        raise AssertionError(f"missing {facts['missing']}, unused {facts['unused']}")
    for name, value in compare(out, model, args.folder).items():
        print(f"{name}: all values within the format's error, NMSE {value:.1e}")
    image = gguf.GGUFReader(out).fields["unipic.image_token_id"].contents()
    print(f"<image> is token {image}")
    if not args.keep:
        shutil.rmtree(args.folder)


if __name__ == "__main__":
    main()
