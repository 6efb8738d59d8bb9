"""python training/convert/test_convert.py: conversion of small synthetic checkpoints with the official names; half a minute, no download."""

import os
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import TokenType
from safetensors.torch import save_file

from checkpoint import CheckpointError, open_checkpoint
from convert import Sources, convert
from gguf_file import Formats, Type, as_rows
from models import OFFICIAL, Diffusion, LanguageModel, Mar, Model, Siglip, Vae
from random_model import random_blocks
from synthetic import compare, extras, write_checkpoint
from tensors import CONVOLUTION, SIGLIP, VAE, Entry, tensors

TOKENS = 258  # bytes, a merge, a filler; 22 added ones; <image> is 280
SMALL = Model(
    name="small",
    language=LanguageModel(vocabulary=288, width=64, layers=2, heads=4, kv_heads=2, mlp=96),
    mar=Mar(width=96, mlp=128, encoder_blocks=2, decoder_blocks=1, heads=2, grid=4, buffers=6),
    diffusion=Diffusion(width=64, blocks=2, max_beta=0.2),
    vae=Vae(channels=32, multipliers=(1, 2), residual_blocks=1, groups=8),
    siglip=Siglip(width=72, mlp=80, layers=2, heads=1, image_size=32, patch=8),
    image_sizes=(8,),
    default_size=8,
    image_token_id=280,
)


class Conversion(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.out = self.folder / "model.gguf"
        write_checkpoint(SMALL, self.folder, TOKENS)

    def flat(self) -> dict[str, torch.Tensor]:
        return dict(open_checkpoint(self.folder / "checkpoint.bin"))

    def sources(self, flat: dict[str, torch.Tensor] | None = None, **more: dict[str, torch.Tensor]) -> Sources:
        return Sources(self.flat() if flat is None else flat, open_checkpoint(self.folder / "kl16.ckpt"), **more)

    def convert(self, sources: Sources | None = None, formats: Formats = Formats(), kind: Model = SMALL, partial: bool = False):
        return convert(kind, sources or self.sources(), self.folder / "language", self.out, formats, partial)

    def fields(self) -> dict:
        return {name: field.contents() for name, field in gguf.GGUFReader(self.out).fields.items()}

    def test_every_value_is_there_in_every_format(self) -> None:
        for formats in (Formats(), Formats.all(Type.F32), Formats.all(Type.F16), Formats.all(Type.Q8_0)):
            model, report = self.convert(formats=formats)
            self.assertEqual((report.missing, report.unused), ([], []))
            self.assertEqual(set(report.ignored), {*extras(SMALL), "llm.lm_head.weight"})
            self.assertEqual(model, SMALL)
            compare(self.out, SMALL, self.folder)

    def test_formats(self) -> None:
        self.convert()
        kinds = {tensor.name: tensor.tensor_type for tensor in gguf.GGUFReader(self.out).tensors}
        self.assertEqual(kinds["blk.0.ffn_up.weight"], Type.Q4_0)
        self.assertEqual(kinds["token_embd.weight"], Type.Q8_0)
        self.assertEqual(kinds["mar.encoder_blocks.1.mlp.fc1.weight"], Type.Q8_0)
        self.assertEqual(kinds["siglip2.encoder.layers.0.mlp.fc1.weight"], Type.F16, "72 columns have no whole blocks")
        self.assertEqual(kinds["mar.z_proj.weight"], Type.F16, "16 columns")
        self.assertEqual(kinds["vae.decoder.conv_in.weight"], Type.F16)
        for name in ("mar.encoder_pos_embed_learned", "mar.mask_token", "siglip2.embeddings.position_embedding.weight", "blk.0.attn_q.bias", "vae.decoder.norm_out.weight"):
            self.assertEqual(kinds[name], Type.F32, name)

    def test_convolutions_are_rows_of_y_x_channel(self) -> None:
        entry = Entry(VAE, "x", (2, 3, 2, 2), "vae.x", CONVOLUTION)
        values = torch.arange(24).reshape(2, 3, 2, 2)
        rows = as_rows(entry, values)
        for out in range(2):
            for y in range(2):
                for x in range(2):
                    for channel in range(3):
                        self.assertEqual(rows[out, (y * 2 + x) * 3 + channel], values[out, channel, y, x])

    def test_metadata_and_vocabulary(self) -> None:
        self.convert()
        fields = self.fields()
        self.assertEqual(fields["general.architecture"], "unipic")
        self.assertEqual(fields["unipic.image_token_id"], 280)
        self.assertEqual(len(fields["tokenizer.ggml.tokens"]), 288)
        self.assertEqual(fields["tokenizer.ggml.tokens"][280], "<image>")
        self.assertEqual(fields["tokenizer.ggml.tokens"][281], "[PAD281]")
        kinds = [fields["tokenizer.ggml.token_type"][i] for i in (0, 258, 279, 280, 281)]
        self.assertEqual(kinds, [TokenType.NORMAL, TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.CONTROL, TokenType.UNUSED])
        self.assertEqual(fields["tokenizer.ggml.eos_token_id"], 260)
        self.assertEqual(fields["qwen2.attention.head_count_kv"], 2)
        self.assertEqual(fields["unipic.vae.multipliers"], [1, 2])
        self.assertAlmostEqual(fields["unipic.vae.latent_std"][15], 1 / 0.2325, places=5)
        self.assertIn("{prompt}", fields["unipic.template.paint"])
        self.assertNotIn("system", fields["tokenizer.chat_template"])

    def test_what_is_missing_or_unknown_is_named(self) -> None:
        flat = self.flat()
        del flat["mar.z_proj.weight"], flat["proj_in.0.bias"]
        flat["mar.surprise.weight"] = torch.zeros(3)
        with self.assertRaises(CheckpointError) as caught:
            self.convert(self.sources(flat))
        report = caught.exception.args[1]
        self.assertEqual(report.missing, ["mar.z_proj.weight", "proj_in.0.bias"])
        self.assertEqual(report.unused, ["mar.surprise.weight"])
        self.assertFalse(self.out.exists())
        self.convert(self.sources(flat), partial=True)
        names = {tensor.name for tensor in gguf.GGUFReader(self.out).tensors}
        self.assertEqual({entry.name for entry in tensors(SMALL)} - names, {"mar.z_proj.weight", "proj_in.0.bias"})

    def test_folders_stand_in(self) -> None:
        """The language model and SigLIP from folders, as `from_pretrained` would load them; names of transformers 5 and before."""
        whole = self.flat()
        for level in ("vision_model.", ""):
            flat = {name: value for name, value in whole.items() if not name.startswith(("llm.", "siglip2."))}
            language = {name.removeprefix("llm."): value for name, value in whole.items() if name.startswith("llm.model.")}
            siglip = {name.replace("siglip2.vision_model.", level): value for name, value in whole.items() if name.startswith("siglip2.")}
            save_file(siglip, self.folder / "siglip.safetensors")
            _, report = self.convert(self.sources(flat, language=language, siglip=open_checkpoint(self.folder / "siglip.safetensors")))
            self.assertEqual((report.missing, report.unused), ([], []))
            self.assertEqual(report.found["siglip"], sum(entry.part == SIGLIP for entry in tensors(SMALL)))
            compare(self.out, SMALL, self.folder)

    def test_without_siglip(self) -> None:
        flat = {name: value for name, value in self.flat().items() if not name.startswith("siglip2.")}
        model, report = self.convert(self.sources(flat))
        self.assertIsNone(model.siglip)
        self.assertEqual(len(report.notes), 1)
        self.assertTrue(all(name.startswith(("siglip2_proj.", "mar.class_emb", "llm.lm_head")) for name in report.ignored))
        self.assertFalse(any(name.startswith("unipic.siglip") for name in self.fields()))

    def test_vae_within_the_checkpoint(self) -> None:
        vae = open_checkpoint(self.folder / "kl16.ckpt")
        save_file({**{k: v.contiguous() for k, v in self.flat().items() if k != "llm.lm_head.weight"}, **{f"vae.{k}": v for k, v in vae.items()}}, self.folder / "whole.safetensors")
        _, report = self.convert(Sources(open_checkpoint(self.folder / "whole.safetensors")))
        self.assertEqual((report.missing, report.unused), ([], []))
        compare(self.out, SMALL, self.folder)

    def test_sizes_are_read_from_the_tensors(self) -> None:
        kind = replace(SMALL, mar=replace(SMALL.mar, grid=9, buffers=64, encoder_blocks=7), diffusion=replace(SMALL.diffusion, blocks=9))
        model, report = self.convert(kind=kind)
        self.assertEqual(model, SMALL)
        self.assertIn("4 x 4", report.notes[0])

    def test_untied_head(self) -> None:
        flat = self.flat() | {"llm.lm_head.weight": torch.ones(288, 64)}
        model, report = self.convert(self.sources(flat))
        self.assertFalse(model.language.tied)
        self.assertIn("output.weight", {tensor.name for tensor in gguf.GGUFReader(self.out).tensors})
        self.assertEqual(report.unused, [])

    def test_wrong_shapes_and_values_are_refused(self) -> None:
        for name, value, message in (
            ("proj_in.0.weight", torch.zeros(64, 64), "proj_in.0.weight has the shape"),
            ("proj_in.0.weight", torch.full((64, 96), torch.nan), "not finite"),
        ):
            with self.assertRaises((CheckpointError, ValueError)) as caught:
                self.convert(self.sources(self.flat() | {name: value}))
            self.assertIn(message, str(caught.exception))
            self.assertEqual(list(self.folder.glob("model.gguf*")), [])

    def test_code_in_a_pickle_is_not_run(self) -> None:
        marker = self.folder / "ran"
        torch.save({"model": Evil(str(marker))}, self.folder / "evil.bin")
        with self.assertRaises(CheckpointError):
            open_checkpoint(self.folder / "evil.bin")
        self.assertFalse(marker.exists())

    def test_old_pickles_and_other_files(self) -> None:
        torch.save({"state_dict": {"a": torch.ones(2)}}, self.folder / "old.bin", _use_new_zipfile_serialization=False)
        self.assertEqual(list(open_checkpoint(self.folder / "old.bin")), ["a"])
        (self.folder / "no.bin").write_bytes(b"nothing of the kind")
        for path in ("no.bin", "absent.bin"):
            with self.assertRaises(CheckpointError):
                open_checkpoint(self.folder / path)


class Random(unittest.TestCase):
    def test_blocks_have_the_deviation_of_the_matrix(self) -> None:
        entry = next(entry for entry in tensors(OFFICIAL["harmon-0.5b"]) if entry.name == "blk.3.ffn_down.weight")
        for kind in (Type.Q4_0, Type.Q8_0, Type.F16, Type.F32):
            data = b"".join(piece.tobytes() for piece in random_blocks(entry, kind, 1))
            again = b"".join(piece.tobytes() for piece in random_blocks(entry, kind, 1))
            self.assertEqual(data, again)
            block, size = gguf.GGML_QUANT_SIZES[kind]
            self.assertEqual(len(data), 896 * 4864 // block * size)
            flat = np.frombuffer(data, dtype=np.uint8)
            values = flat.view(np.float32) if kind == Type.F32 else flat.view(np.float16).astype(np.float32) if kind == Type.F16 else gguf.quants.dequantize(flat.reshape(896, -1), kind)
            self.assertAlmostEqual(float(values.std()) * 4864**0.5, 1, delta=0.02)


class Evil:
    def __init__(self, marker: str):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


if __name__ == "__main__":
    torch.set_num_threads(1)
    unittest.main()
