"""Turns the official files of UniPic or Harmon into one GGUF (docs/unipic-format.md), a tensor at a time.

    python training/convert/convert.py --kind unipic-1.5b --checkpoint pytorch_model.bin --vae kl16.ckpt \\
        --language Qwen2.5-1.5B-Instruct --siglip siglip2-so400m-patch16-512 --out unipic.gguf
    python training/convert/convert.py --kind harmon-0.5b --checkpoint harmon_0.5b.pth --vae kl16.ckpt --language Qwen2.5-0.5B-Instruct --out harmon.gguf

Files are mapped, pickles are read as weights only, and what was not found or not used is listed. Without all tensors nothing is written,
unless --partial says so; a checkpoint without SigLIP converts without that route.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from checkpoint import CheckpointError, open_checkpoint, read_json, release
from gguf_file import Formats, Type, as_rows, encoded, nbytes, write
from models import OFFICIAL, LanguageModel, Model
from tensors import LANGUAGE, MATRIX, SIGLIP, UNUSED, VAE, Entry, tensors
from vocabulary import read_tokenizer

TYPES = {"q4_0": Type.Q4_0, "q8_0": Type.Q8_0, "f16": Type.F16, "f32": Type.F32}
DESCRIPTION = "Converted by Octavo from the official checkpoint"


@dataclass
class Sources:
    """Where tensors are looked for. Folders stand in for what the checkpoint lacks."""

    checkpoint: Mapping[str, Tensor]
    vae: Mapping[str, Tensor] = field(default_factory=dict)
    language: Mapping[str, Tensor] = field(default_factory=dict)
    siglip: Mapping[str, Tensor] = field(default_factory=dict)

    def find(self, entry: Entry) -> tuple[str, str] | None:
        """The source and the name that it has there."""
        for source, name in self._places(entry):
            if name in getattr(self, source):
                return source, name
        return None

    def _places(self, entry: Entry) -> Iterator[tuple[str, str]]:
        name = entry.official
        if entry.part == VAE:
            yield "vae", name
            yield "checkpoint", f"vae.{name}"
            return
        yield "checkpoint", name
        if entry.part == LANGUAGE:
            yield "language", name.removeprefix("llm.")
        if entry.part == SIGLIP:
            yield "checkpoint", name.replace(".vision_model.", ".")  # transformers 5 drops the level
            yield "siglip", name.removeprefix("siglip2.")
            yield "siglip", name.removeprefix("siglip2.vision_model.")

    def get(self, place: tuple[str, str]) -> Tensor:
        source, name = place
        return getattr(self, source)[name]


@dataclass
class Report:
    found: dict[str, int] = field(default_factory=dict)  # by source
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)  # of the checkpoint and the VAE's file, for no known reason
    ignored: dict[str, str] = field(default_factory=dict)  # with the reason
    notes: list[str] = field(default_factory=list)
    bytes: dict[str, int] = field(default_factory=dict)  # by part and format

    def lines(self) -> Iterator[str]:
        yield "found: " + ", ".join(f"{count} in {source}" for source, count in self.found.items())
        yield from (f"note: {note}" for note in self.notes)
        for reason in dict.fromkeys(self.ignored.values()):
            names = [name for name, why in self.ignored.items() if why == reason]
            yield f"left out, {len(names)} tensors: {reason} ({names[0]}{', ...' if len(names) > 1 else ''})"
        yield from (f"NOT FOUND: {name}" for name in self.missing)
        yield from (f"NOT USED: {name}" for name in self.unused)
        yield from (f"{part}: {size / 1e6:.1f} MB" for part, size in self.bytes.items())


def language_model(config: dict) -> LanguageModel:
    """From the folder's config.json."""
    rope = config.get("rope_parameters") or {}
    if config.get("model_type") != "qwen2":
        raise CheckpointError(f"the language model is {config.get('model_type')!r}; models of the UniPic graph have qwen2")
    return LanguageModel(
        vocabulary=config["vocab_size"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        kv_heads=config["num_key_value_heads"],
        mlp=config["intermediate_size"],
        tied=config.get("tie_word_embeddings", False),
        theta=config.get("rope_theta") or rope.get("rope_theta", 1e6),
        epsilon=config["rms_norm_eps"],
        context=config["max_position_embeddings"],
    )


def resolve(kind: Model, sources: Sources, language: LanguageModel, image: int, report: Report) -> Model:
    """`kind` with what the files say of themselves; what no tensor tells (heads, schedule, sizes) stays."""
    vocabulary = _shape(sources, "llm.model.embed_tokens.weight", "language", "model.embed_tokens.weight")
    if vocabulary is not None and vocabulary[0] != language.vocabulary:
        report.notes.append(f"the embedding table has {vocabulary[0]} rows, config.json says {language.vocabulary}")
        language = replace(language, vocabulary=vocabulary[0])
    if language.vocabulary <= image:
        raise CheckpointError(f"<image> is token {image}, the embedding table has {language.vocabulary} rows")
    if language.tied and not _same(sources.checkpoint, "llm.lm_head.weight", "llm.model.embed_tokens.weight"):
        report.notes.append("llm.lm_head.weight differs from the embedding table though config.json says that they are tied: written as a head of its own")
        language = replace(language, tied=False)
    mar = kind.mar
    positions, image_positions = (_shape(sources, f"mar.{side}_pos_embed_learned") for side in ("encoder", "diffusion"))
    if positions is not None and image_positions is not None:
        grid = round(image_positions[1] ** 0.5)
        if grid != mar.grid:
            report.notes.append(f"the position tables are for {grid} x {grid} tokens, {kind.name} has {mar.grid} x {mar.grid}: taken from the tables")
        mar = replace(mar, grid=grid, buffers=positions[1] - grid * grid)
    mar = replace(mar, encoder_blocks=_count(sources, "mar.encoder_blocks.") or mar.encoder_blocks, decoder_blocks=_count(sources, "mar.decoder_blocks.") or mar.decoder_blocks)
    diffusion = replace(kind.diffusion, blocks=_count(sources, "mar.diffloss.net.res_blocks.") or kind.diffusion.blocks)
    siglip = kind.siglip
    if siglip is not None and not any(sources.find(entry) for entry in tensors(kind) if entry.part == SIGLIP):
        report.notes.append("no SigLIP in these files: images are seen by the MAR encoder only")
        siglip = None
    return replace(kind, language=language, mar=mar, diffusion=diffusion, siglip=siglip, image_token_id=image)


def _count(sources: Sources, prefix: str) -> int:
    """How many blocks the checkpoint has under `prefix`, numbered from 0."""
    return 1 + max((int(name.removeprefix(prefix).split(".")[0]) for name in sources.checkpoint if name.startswith(prefix)), default=-1)


def _shape(sources: Sources, name: str, source: str = "checkpoint", other: str = "") -> tuple[int, ...] | None:
    for where, key in (("checkpoint", name), (source, other)):
        if key in getattr(sources, where):
            return tuple(getattr(sources, where)[key].shape)
    return None


def _same(checkpoint: Mapping[str, Tensor], name: str, other: str) -> bool:
    """Equal, or one of them is not there."""
    if name not in checkpoint or other not in checkpoint:
        return True
    a, b = checkpoint[name], checkpoint[other]
    if a.shape != b.shape:
        return False
    same = a.data_ptr() == b.data_ptr() or all(torch.equal(x, y) for x, y in zip(a.split(4096), b.split(4096), strict=True))
    release(a)
    release(b)
    return same


def account(model: Model, sources: Sources, formats: Formats, report: Report) -> dict[str, tuple[str, str]]:
    """Where every tensor of the model is, by our name; fills the report."""
    places: dict[str, tuple[str, str]] = {}
    used: set[tuple[str, str]] = set()
    for entry in tensors(model):
        place = sources.find(entry)
        if place is None:
            report.missing.append(entry.official if entry.part != VAE else f"{entry.official} (VAE)")
            continue
        places[entry.name] = place
        used.add(place)
        report.found[place[0]] = report.found.get(place[0], 0) + 1
        kind = formats.of(entry)
        key = f"{entry.part} {kind.name}" if entry.kind == MATRIX or kind != Type.F32 else "norms, biases and tables F32"
        report.bytes[key] = report.bytes.get(key, 0) + nbytes(entry.stored, kind)
    reasons = dict(UNUSED)
    if model.language.tied:
        reasons["llm.lm_head.weight"] = "tied: the embedding table"
    if model.siglip is None:
        reasons |= {"siglip2_proj.": "no SigLIP tower to project", "siglip2.": "an incomplete SigLIP tower"}
    for source in ("checkpoint", "vae"):
        for name in getattr(sources, source):
            if (source, name) in used:
                continue
            whole = name if source == "checkpoint" else f"kl16:{name}"
            reason = next((why for prefix, why in reasons.items() if whole.startswith(prefix)), None)
            if reason is None and source == "vae" and name.startswith("loss."):
                reason = "the VAE's training loss"
            if reason is None:
                report.unused.append(whole)
            else:
                report.ignored[whole] = reason
    return places


def convert(kind: Model, sources: Sources, language: Path, out: Path, formats: Formats, partial: bool = False) -> tuple[Model, Report]:
    """Writes `out`; with tensors missing and not `partial`, raises CheckpointError whose argument is the report."""
    report = Report()
    tokenizer, image = read_tokenizer(language)
    model = resolve(kind, sources, language_model(read_json(language / "config.json")), image, report)
    places = account(model, sources, formats, report)
    if report.missing and not partial:
        raise CheckpointError(f"{len(report.missing)} of {len(report.missing) + len(places)} tensors were not found; --partial writes the file without them", report)

    def data(entry: Entry, kind: Type) -> Iterator[np.ndarray]:
        tensor = sources.get(places[entry.name])
        yield from encoded(entry.official, as_rows(entry, tensor), kind)
        release(tensor)

    present = [entry for entry in tensors(model) if entry.name in places]
    for entry in present:  # before hours of work, or at least minutes
        shape = tuple(sources.get(places[entry.name]).shape)
        if shape != entry.shape:
            raise CheckpointError(f"{entry.official} has the shape {shape}, {model.name} has {entry.shape}: is --kind right?")
    write(out, model, tokenizer, present, formats, data, DESCRIPTION)
    return model, report


def peak_memory() -> int:
    """Bytes that this process had resident at most, pages of mapped files included."""
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration):  # no Linux; there, getrusage would count the parent as well
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=OFFICIAL, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="flat pickle, safetensors, or a folder of either")
    parser.add_argument("--vae", type=Path, help="kl16.ckpt; left out where the checkpoint holds vae.*")
    parser.add_argument("--language", type=Path, required=True, help="folder of Qwen2.5: config.json, tokenizer.json, tokenizer_config.json, weights where the checkpoint has none")
    parser.add_argument("--siglip", type=Path, help="folder of SigLIP2, where the checkpoint has no siglip2.*")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--language-format", choices=TYPES, default="q4_0")
    parser.add_argument("--embedding-format", choices=TYPES, default="q8_0", help="the table of tokens, which is the head as well")
    parser.add_argument("--rest-format", choices=TYPES, default="q8_0", help="MAR, head, projections, SigLIP")
    parser.add_argument("--vae-format", choices=TYPES, default="f16")
    parser.add_argument("--partial", action="store_true", help="write the file even where tensors are missing")
    parser.add_argument("--report", type=Path, help="the report as JSON")
    args = parser.parse_args()
    torch.set_num_threads(2)
    began = time.monotonic()
    try:
        folder_has_weights = any(args.language.glob("*.safetensors")) or any(args.language.glob("*.bin"))
        sources = Sources(
            open_checkpoint(args.checkpoint),
            open_checkpoint(args.vae) if args.vae else {},
            open_checkpoint(args.language) if folder_has_weights else {},
            open_checkpoint(args.siglip) if args.siglip else {},
        )
        formats = Formats(TYPES[args.language_format], TYPES[args.embedding_format], TYPES[args.rest_format], TYPES[args.vae_format])
        _, report = convert(OFFICIAL[args.kind], sources, args.language, args.out, formats, args.partial)
    except CheckpointError as error:
        for line in error.args[1].lines() if len(error.args) > 1 else ():
            print(line)
        sys.exit(f"not converted: {error.args[0]}")
    except ValueError as error:
        sys.exit(f"not converted: {error}")
    print("\n".join(report.lines()))
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB in {time.monotonic() - began:.0f} s, at most {peak_memory() / 1e9:.2f} GB of memory")
    if args.report:
        args.report.write_text(json.dumps(vars(report), indent=1) + "\n")


if __name__ == "__main__":
    main()
