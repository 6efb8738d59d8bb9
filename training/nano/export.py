"""Write a checkpoint as GGUF: the UniPic graph of docs/unipic-format.md, or the text half alone, and read it back.

    python export.py --checkpoint ../runs/joint/last.pt --out ../../models/nano/nano.gguf
    python export.py --checkpoint ../../models/nano/nano.gguf --text-only --out ../../models/nano-text/nano-text.gguf

Matrices in Q8_0 where 32 divides their columns, else F16; norms, biases and tables of positions in F32;
tokenizer and chat template inside. A joint checkpoint is written with its averaged weights.
"""

import argparse
import json
import re
from pathlib import Path

import gguf
import numpy as np
import torch
from torch import Tensor

from batches import TOKENIZER, Codec
from model import Config, layers_of
from tokenizer import CHAT_TEMPLATE, SPECIALS
from tower import TowerConfig
from unipic import IMAGE_TOKEN, PictureConfig, UniPic

TYPE = gguf.GGMLQuantizationType
PAINT = {"iterations": 4, "diffusion_steps": 20, "guidance": 1.0}
FRAME = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
TEMPLATES = {
    "paint": FRAME.format("Generate an image: {prompt}"), "paint_unconditional": FRAME.format("Generate an image."),
    "edit": FRAME.format("{image}\n{instruction}"), "edit_unconditional": FRAME.format("{image}\nRepeat this image."),
}

PICTURE_KEYS = {  # PictureConfig's names: the file's, after "unipic."
    "image_size": "default_size", "patch_size": "patch_size", "token_channels": "token_channels",
    **{k: f"mar.{k}" for k in ("embedding_length", "feed_forward_length", "encoder_block_count", "decoder_block_count", "head_count", "buffer_count", "layer_norm_epsilon")},
    "diffusion_width": "diffusion.width", "diffusion_block_count": "diffusion.block_count", "train_steps": "diffusion.train_steps", "max_beta": "diffusion.max_beta",
}
NAMES = {
    "embed_tokens.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
BACK = {theirs: ours for ours, theirs in NAMES.items()}


def text_name(name: str) -> str:
    """A name of model.Nano (Hugging Face's without "model.") as llama.cpp's qwen2 calls it."""
    if name in NAMES:
        return NAMES[name]
    _, layer, rest = name.split(".", 2)
    if rest in NAMES:
        return f"blk.{layer}.{NAMES[rest]}"
    stem, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{NAMES[stem]}.{kind}"


def text_name_back(name: str) -> str:
    if name in BACK:
        return BACK[name]
    _, layer, rest = name.split(".", 2)
    stem, kind = rest.rsplit(".", 1)
    return f"layers.{layer}.{BACK[rest]}" if rest in BACK else f"layers.{layer}.{BACK[stem]}.{kind}"


def gguf_name(name: str) -> str:
    """A name of unipic.UniPic in the file."""
    return text_name(name[3:]) if name.startswith("lm.") else name.replace("vae.conv.", "vae.decoder.conv.")


def matrix(name: str, t: Tensor) -> Tensor:
    """Convolutions as matrices, (out, y x channel)."""
    return t.permute(0, 2, 3, 1).reshape(len(t), -1) if t.ndim == 4 else t


def format_of(name: str, t: Tensor) -> TYPE:
    """The format of a tensor that has been through `matrix`."""
    if t.ndim < 2 or re.search(r"pos_embed|fake_latent|mask_token", name):
        return TYPE.F32
    return TYPE.F16 if t.shape[1] % 32 else TYPE.Q8_0


def packed(t: Tensor, kind: TYPE) -> np.ndarray:
    """A tensor's bytes in a format, as gguf's writer wants them."""
    values = t.float().contiguous().numpy()
    return values if kind == TYPE.F32 else values.astype(np.float16) if kind == TYPE.F16 else gguf.quants.quantize(values, kind)


def dequantised(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights as an engine sees them: through their formats and back to f32."""
    out = {}
    for name, t in state.items():
        kind = format_of(name, matrix(name, t))
        out[name] = t.float() if kind == TYPE.F32 else t.half().float() if kind == TYPE.F16 else torch.from_numpy(gguf.quants.dequantize(packed(t, kind), kind))
    return out


def averaged(checkpoint: dict) -> dict[str, Tensor]:
    """The weights of a checkpoint of train_joint.py, averaged where it has averages."""
    return checkpoint["model"] | checkpoint.get("average", {})


def describe_text(out: gguf.GGUFWriter, c: Config, spec: dict) -> None:
    """`spec`: the tokenizer, as tokenizer.json has it."""
    for key, value in {
        "context_length": c.max_position_embeddings, "embedding_length": c.hidden_size, "block_count": c.num_hidden_layers,
        "feed_forward_length": c.intermediate_size, "attention.head_count": c.num_attention_heads,
        "attention.head_count_kv": c.num_key_value_heads, "rope.dimension_count": c.head_dim, "vocab_size": c.vocab_size,
    }.items():
        out.add_uint32(f"qwen2.{key}", value)
    out.add_float32("qwen2.rope.freq_base", c.rope_theta)
    out.add_float32("qwen2.attention.layer_norm_rms_epsilon", c.rms_norm_eps)
    ids = spec["model"]["vocab"] | {t["content"]: t["id"] for t in spec["added_tokens"]}
    tokens = sorted(ids, key=ids.__getitem__)
    assert [ids[t] for t in tokens] == list(range(c.vocab_size))
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list(tokens)
    out.add_token_types([gguf.TokenType.CONTROL if t in SPECIALS else gguf.TokenType.NORMAL for t in tokens])
    out.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in spec["model"]["merges"]])
    out.add_eos_token_id(ids["<|im_end|>"])
    out.add_pad_token_id(ids["<|endoftext|>"])
    out.add_add_bos_token(False)
    out.add_chat_template(CHAT_TEMPLATE)


def describe_pictures(out: gguf.GGUFWriter, c: PictureConfig, tower: TowerConfig | None, mean: Tensor, std: Tensor) -> None:
    out.add_string("unipic.language_model", "qwen2")
    out.add_array("unipic.image_sizes", [c.image_size])
    for key, value in {
        "image_token_id": IMAGE_TOKEN, "mar.grid": c.grid,
        **{theirs: getattr(c, ours) for ours, theirs in PICTURE_KEYS.items() if isinstance(getattr(c, ours), int)},
        "paint.iterations": PAINT["iterations"], "paint.diffusion_steps": PAINT["diffusion_steps"],
    }.items():
        out.add_uint32(f"unipic.{key}", value)
    out.add_float32("unipic.mar.layer_norm_epsilon", c.layer_norm_epsilon)
    out.add_float32("unipic.diffusion.max_beta", c.max_beta)
    out.add_string("unipic.diffusion.prediction", "v")
    out.add_string("unipic.vae.kind", "patch")
    out.add_array("unipic.vae.latent_mean", mean.tolist())
    out.add_array("unipic.vae.latent_std", std.tolist())
    # The gallery's stage does not teach answers by the MAR encoder.
    out.add_string("unipic.understanding", "mar" if not tower else "size" if c == PictureConfig() else "siglip")
    for key, value in (tower.to_dict() if tower else {}).items():
        (out.add_float32 if isinstance(value, float) else out.add_uint32)(f"unipic.siglip.{key}", value)
    out.add_float32("unipic.paint.guidance", PAINT["guidance"])
    for key, text in TEMPLATES.items():
        out.add_string(f"unipic.template.{key}", text)


def write(state: dict[str, Tensor], text: Config, picture: PictureConfig | None, path: Path, tower: TowerConfig | None = None, tokenizer: str | None = None) -> None:
    """`picture` None: `state` is the text half alone, a file of architecture qwen2. `tokenizer`: a tokenizer.json other than the committed one."""
    out = gguf.GGUFWriter(path, "unipic" if picture else "qwen2")
    out.add_name("nano" if picture else "nano-text")
    out.add_description("Octavo's own small model: sees, paints and edits pictures of drawings, answers questions about short documents"
                        if picture else "Octavo's own small model for documents: questions, answered in the document's words")
    out.add_license("Apache-2.0")
    out.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    out.add_quantization_version(gguf.GGML_QUANT_VERSION)
    describe_text(out, text, json.loads(tokenizer or TOKENIZER.read_text()))
    if picture:
        state = dict(state)
        describe_pictures(out, picture, tower, state.pop("vae.latent_mean"), state.pop("vae.latent_std"))
    for name, tensor in state.items():
        tensor = matrix(name, tensor)
        kind = format_of(name, tensor)
        out.add_tensor(gguf_name(name) if picture else text_name(name), packed(tensor, kind), raw_dtype=kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def read(path: Path) -> dict[str, Tensor]:
    """The weights of a GGUF written here, dequantised to f32: under UniPic's names, or Nano's in a file of the text half."""
    file = gguf.GGUFReader(path)
    whole = file.fields["general.architecture"].contents() == "unipic"
    state = {}
    for t in file.tensors:
        values = torch.from_numpy(np.array(gguf.quants.dequantize(t.data, t.tensor_type), dtype=np.float32))
        name = t.name
        if name.startswith(("token_embd", "output_norm", "blk.")):
            name = ("lm." if whole else "") + text_name_back(name)
        elif name == "vae.decoder.conv.weight":
            values = values.reshape(len(values), 3, 3, -1).permute(0, 3, 1, 2).contiguous()
        state[name.replace("vae.decoder.conv.", "vae.conv.")] = values
    if whole:
        for key in ("latent_mean", "latent_std"):
            state[f"vae.{key}"] = torch.tensor(file.fields[f"unipic.vae.{key}"].contents())
    return state


def load(path: Path) -> UniPic:
    """The whole model of a GGUF written here, dequantised to f32, its sizes by the file's facts."""
    state, fields = read(path), gguf.GGUFReader(path).fields

    def facts(names: dict[str, str]) -> dict:
        return {ours: fields[f"unipic.{theirs}"].contents() for ours, theirs in names.items() if f"unipic.{theirs}" in fields}

    tower = facts({k: f"siglip.{k}" for k in TowerConfig().to_dict()})
    picture = PictureConfig(**facts(PICTURE_KEYS), tokenizer_width=len(state["vae.encoder.0.weight"]))
    model = UniPic(Config(vocab_size=len(state["lm.embed_tokens.weight"]), num_hidden_layers=layers_of(state)), picture, TowerConfig(**tower) if tower else None)
    model.load_state_dict(state)
    return model.eval()


def text_half(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The language model's weights, under Nano's names, of weights of UniPic or of Nano."""
    own = {name.removeprefix("lm."): t for name, t in state.items()}
    return {name: t for name, t in own.items() if name.startswith(("embed_tokens.", "layers.", "norm."))}


def between(start: dict[str, Tensor], trained: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights on the line from where a run began to where it ended, `share` of the way (WiSE-FT, arXiv 2109.01903): most of what was learnt, and most of what was forgotten."""
    return {name: torch.lerp(start[name].float(), t.float(), share) for name, t in trained.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path, required=True, help="a checkpoint of training; with --text-only also a GGUF written here")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--text-only", action="store_true", help="the language model alone, a file of architecture qwen2")
    parser.add_argument("--from", dest="start", type=Path, help="with --text-only: the GGUF that the run of the checkpoint began from")
    parser.add_argument("--share", type=float, default=1.0, help="with --from: how far from there to the checkpoint the weights lie")
    args = parser.parse_args()
    if args.text_only:
        whole = {"model": read(args.checkpoint), "tokenizer": Codec.beside(args.checkpoint).tokenizer.to_str()} if args.checkpoint.suffix == ".gguf" else torch.load(args.checkpoint, weights_only=True, map_location="cpu")
        state = text_half(averaged(whole))
        if args.start:
            state = between(text_half(read(args.start)), state, args.share)
        write(state, Config(vocab_size=len(state["embed_tokens.weight"]), num_hidden_layers=layers_of(state, "layers.")), None, args.out, tokenizer=whole.get("tokenizer"))
        print(args.out, args.out.stat().st_size, "bytes")
        return
    checkpoint = torch.load(args.checkpoint, weights_only=True, map_location="cpu")
    picture = PictureConfig(**checkpoint["picture"]) if "picture" in checkpoint else None
    tower = TowerConfig(**checkpoint["tower"]) if checkpoint.get("tower") else None
    tokenizer = checkpoint.get("tokenizer")
    write(averaged(checkpoint), Config(**checkpoint["config"]), picture, args.out, tower, tokenizer)
    if tokenizer:  # beside the weights, for whatever reads it from a file of its own
        args.out.with_name("tokenizer.json").write_text(tokenizer)
    print(args.out, args.out.stat().st_size, "bytes, step", checkpoint["step"])


if __name__ == "__main__":
    main()
