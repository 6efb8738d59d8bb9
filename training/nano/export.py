"""Write a checkpoint as GGUF: matrices in Q8_0, norms and biases in F32, tokenizer and chat template inside.

    python export.py --checkpoint ../runs/text/last.pt --out ../../models/nano/nano.gguf
"""

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
import torch

from batches import TOKENIZER
from model import Config
from tokenizer import CHAT_TEMPLATE, SPECIALS

TYPE = gguf.GGMLQuantizationType

NAMES = {
    "embed_tokens.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    """Our parameter name (Hugging Face's without "model.") as llama.cpp's qwen2 calls it."""
    if name in NAMES:
        return NAMES[name]
    _, layer, rest = name.split(".", 2)
    if rest in NAMES:
        return f"blk.{layer}.{NAMES[rest]}"
    stem, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{NAMES[stem]}.{kind}"


def quantise(weight: torch.Tensor) -> np.ndarray:
    """Q8_0 blocks, as bytes (rows, row bytes), of a matrix (rows, columns); columns divide by 32."""
    return gguf.quants.quantize(weight.float().numpy(), TYPE.Q8_0)


def dequantised(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights as an engine sees them: matrices through Q8_0 and back, the rest in f32."""
    return {
        name: torch.from_numpy(gguf.quants.dequantize(quantise(t), TYPE.Q8_0)) if t.ndim == 2 else t.float()
        for name, t in state.items()
    }


def write(state: dict[str, torch.Tensor], c: Config, path: Path) -> None:
    out = gguf.GGUFWriter(path, "qwen2")
    out.add_name("nano")
    out.add_description("Octavo's own small model, text half: questions about documents, answered in the document's words")
    out.add_license("Apache-2.0")
    out.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    out.add_quantization_version(gguf.GGML_QUANT_VERSION)
    out.add_context_length(c.max_position_embeddings)
    out.add_embedding_length(c.hidden_size)
    out.add_block_count(c.num_hidden_layers)
    out.add_feed_forward_length(c.intermediate_size)
    out.add_head_count(c.num_attention_heads)
    out.add_head_count_kv(c.num_key_value_heads)
    out.add_rope_dimension_count(c.head_dim)
    out.add_rope_freq_base(c.rope_theta)
    out.add_layer_norm_rms_eps(c.rms_norm_eps)
    out.add_vocab_size(c.vocab_size)

    spec = json.loads(TOKENIZER.read_text())
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

    for name, tensor in state.items():
        if tensor.ndim == 2:
            out.add_tensor(gguf_name(name), quantise(tensor), raw_dtype=TYPE.Q8_0)
        else:
            out.add_tensor(gguf_name(name), tensor.float().numpy())
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def read(path: Path) -> dict[str, torch.Tensor]:
    """The weights of a GGUF written here, dequantised to f32, under our names."""
    layers = range(64)
    ours = {gguf_name(n): n for n in ("embed_tokens.weight", "norm.weight")}
    for layer in layers:
        for name in NAMES:
            for full in ([f"{name}.weight", f"{name}.bias"] if "." in name and "norm" not in name else [name]):
                if full.startswith(("input_", "post_", "self_attn.", "mlp.")):
                    ours[gguf_name(f"layers.{layer}.{full}")] = f"layers.{layer}.{full}"
    tensors = gguf.GGUFReader(path).tensors
    return {ours[t.name]: torch.from_numpy(np.array(gguf.quants.dequantize(t.data, t.tensor_type))) for t in tensors}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    checkpoint = torch.load(args.checkpoint, weights_only=True)
    write(checkpoint["model"], Config(**checkpoint["config"]), args.out)
    print(args.out, args.out.stat().st_size, "bytes, step", checkpoint["step"])


if __name__ == "__main__":
    main()
