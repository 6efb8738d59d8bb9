"""Writes test/fixtures/<case>/: tiny random checkpoints and what upstream's own implementation computes from them.

    python training/parity/language_models.py [test/fixtures [case ...]]

Each case is a Hugging Face folder (config.json, model.safetensors in F32) and expected.json: upstream's versions, a prompt of 40 ids,
logits of some of its positions (base64 of little-endian f32) and 16 greedy ids. Computed in f64 by `transformers`, eager attention.
"""

import base64
import json
import math
import shutil
import sys
from pathlib import Path

import torch
import transformers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    Gemma4TextConfig,
    GraniteConfig,
    Lfm2Config,
    LlamaConfig,
    Ministral3Config,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3_5TextConfig,
    Qwen3Config,
    SmolLM3Config,
)

PROMPT = 40
GREEDY = 16
MARGIN = 0.02
POSITIONS = [0, 1, 7, 8, 15, 23, 31, 32, 38, 39]

SHAPE = dict(
    vocab_size=128,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    bos_token_id=1,
    eos_token_id=2,
)
WIDE_HEADS = dict(num_attention_heads=2, num_key_value_heads=1)  # heads of 16: 8 RoPE frequencies


# As the others, in few weights: more kinds of layers than numbers.
SMALL = SHAPE | dict(vocab_size=64)


def rope(kind: str, theta: float = 10000.0, **more: float) -> dict:
    return {"rope_type": kind, "rope_theta": theta, **more}


SHORT = [1.0, 1.1, 1.25, 1.5, 1.75, 2.0]
LONG = [1.0, 1.5, 2.5, 4.0, 6.0, 9.0]

GEMMA4 = dict(
    num_hidden_layers=6,
    head_dim=16,
    global_head_dim=32,
    sliding_window=4,
    layer_types=["sliding_attention", "full_attention"] * 3,
    pad_token_id=0,
    rope_parameters={
        "full_attention": rope("proportional", 1000000.0) | {"partial_rotary_factor": 0.25},
        "sliding_attention": rope("default", 10000.0),
    },
)

CASES = {
    "llama": LlamaConfig(**SHAPE, rope_parameters=rope("default"), tie_word_embeddings=False),
    "llama-llama3": LlamaConfig(
        **SHAPE | WIDE_HEADS,
        rope_parameters=rope(
            "llama3", 500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64
        ),
        tie_word_embeddings=True,
    ),
    "llama-linear": LlamaConfig(**SHAPE, rope_parameters=rope("linear", factor=4.0), tie_word_embeddings=False, attention_bias=True),
    "llama-yarn": LlamaConfig(
        **SHAPE | WIDE_HEADS,
        rope_parameters=rope("yarn", 1000.0, factor=4.0, original_max_position_embeddings=32, beta_fast=4.0, beta_slow=0.5),
        tie_word_embeddings=False,
    ),
    "mistral": MistralConfig(**SHAPE, rope_parameters=rope("default"), sliding_window=9, tie_word_embeddings=False),
    "qwen2": Qwen2Config(
        **SHAPE | dict(num_hidden_layers=3), rope_parameters=rope("default", 1000000.0), tie_word_embeddings=True, use_sliding_window=False
    ),
    "qwen3": Qwen3Config(
        **SHAPE | WIDE_HEADS | dict(head_dim=32),
        rope_parameters=rope("default", 1000000.0),
        tie_word_embeddings=False,
        use_sliding_window=False,
    ),
    "qwen3-yarn": Qwen3Config(
        **SHAPE | WIDE_HEADS | dict(head_dim=32),
        rope_parameters=rope("yarn", 10000.0, factor=4.0, original_max_position_embeddings=32),
        tie_word_embeddings=True,
        use_sliding_window=False,
    ),
    # 7 layers, of which the sixth sees everything; a window of 4, a scale that is not of the head, RoPE stretched on the sixth layer only.
    "gemma3": Gemma3TextConfig(
        **SMALL | dict(num_hidden_layers=7, head_dim=16, query_pre_attn_scalar=24, sliding_window=4),
        rope_parameters={"full_attention": rope("linear", 1000000.0, factor=8.0), "sliding_attention": rope("default", 10000.0)},
    ),
    # 12 of 16 dimensions rotate. The original context is as long as the whole: short factors.
    "phi3": Phi3Config(
        **SMALL | dict(hidden_size=64, pad_token_id=0),
        original_max_position_embeddings=128,
        rope_parameters={**rope("longrope"), "partial_rotary_factor": 0.75, "short_factor": SHORT, "long_factor": LONG},
    ),
    # The original context is shorter than the prompt: long factors for all of it.
    "phi3-long": Phi3Config(
        **SMALL | dict(hidden_size=64, pad_token_id=0),
        original_max_position_embeddings=8,
        rope_parameters={**rope("longrope"), "partial_rotary_factor": 0.75, "short_factor": SHORT, "long_factor": LONG},
    ),
    # The fourth of 5 layers has no RoPE.
    "smollm3": SmolLM3Config(**SMALL | dict(num_hidden_layers=5, pad_token_id=0), rope_parameters=rope("default", 1000.0)),
    # Queries grow with their position, from the fifth on.
    "ministral3": Ministral3Config(
        **SMALL | dict(head_dim=16, pad_token_id=0),
        rope_parameters=rope(
            "yarn", factor=16.0, beta_fast=4.0, beta_slow=0.5, mscale=1.0, mscale_all_dim=1.0, original_max_position_embeddings=4
        )
        | {"llama_4_scaling_beta": 0.1},
    ),
    "granite": GraniteConfig(
        **SMALL,
        rope_parameters=rope("default"),
        embedding_multiplier=7.0,
        residual_multiplier=0.3,
        attention_multiplier=0.2,
        logits_scaling=1.7,
    ),
    # Two convolutions around a layer with attention.
    "lfm2": Lfm2Config(
        **SMALL | dict(num_hidden_layers=3, pad_token_id=0),
        layer_types=["conv", "full_attention", "conv"],
        conv_L_cache=3,
        block_auto_adjust_ff_dim=False,
        rope_parameters=rope("default", 1000000.0),
    ),
    # Three delta nets, whose two key heads serve four value heads, and a layer with attention, of whose heads of 16 a half rotates.
    "qwen3_5": Qwen3_5TextConfig(
        **SMALL | dict(num_hidden_layers=4, head_dim=16, pad_token_id=0),
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        linear_conv_kernel_dim=4,
        rope_parameters={**rope("default", 10000.0), "partial_rotary_factor": 0.5, "mrope_section": [2, 1, 1]},
        tie_word_embeddings=True,
    ),
    # Heads of 16 with a window and of 32 without; two layers read the keys of earlier ones and have twice the MLP; each layer has an
    # input of 8 looked up by id.
    "gemma4": Gemma4TextConfig(
        **SMALL | GEMMA4,
        num_kv_shared_layers=2,
        use_double_wide_mlp=True,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=64,
        final_logit_softcapping=4.0,
    ),
    # Without these inputs and without readers; keys are values where there is no window, in half as many KV heads.
    "gemma4-dense": Gemma4TextConfig(
        **SMALL | GEMMA4, hidden_size_per_layer_input=0, attention_k_eq_v=True, num_global_key_value_heads=1, final_logit_softcapping=4.0
    ),
}


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Weights large enough that logits differ from position to position; norms away from 1, biases away from 0."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            if "norm" in name:
                parameter.copy_(1 + 0.3 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.5 * noise)
            elif name.endswith("A_log"):
                # Decays from slow to fast.
                parameter.copy_(noise - 1)
            elif "conv" in name and parameter.ndim == 3:
                parameter.copy_(noise * 0.7)
            elif "embed_tokens" in name:
                parameter.copy_(0.5 * noise)
            else:
                parameter.copy_(noise * 1.5 / math.sqrt(parameter.shape[-1]))
    for name, buffer in model.named_buffers():
        if name.endswith("layer_scalar"):
            buffer.copy_(1 + 0.3 * torch.randn(buffer.shape, generator=generator))


def write(folder: Path, name: str, config: transformers.PretrainedConfig, seed: int) -> bool:
    """False where the two best ids of a greedy step are too close for another order of sums to agree."""
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config).eval().float()
    randomise(model, seed)
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    model.save_pretrained(target)
    (target / "generation_config.json").unlink(missing_ok=True)

    model = model.double()
    generator = torch.Generator().manual_seed(1000 + seed)
    prompt = torch.randint(3, config.vocab_size, (PROMPT,), generator=generator)
    with torch.no_grad():
        logits = model(prompt[None], use_cache=False).logits[0]
        ids = prompt.clone()
        margin = math.inf
        for _ in range(GREEDY):
            last = model(ids[None], use_cache=False).logits[0, -1]
            best = last.topk(2)
            margin = min(margin, float(best.values[0] - best.values[1]))
            ids = torch.cat([ids, best.indices[:1]])
    if margin < MARGIN:
        return False
    expected = {
        "upstream": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "seed": seed,
        "prompt": prompt.tolist(),
        "greedy": ids[PROMPT:].tolist(),
        "margin": round(margin, 4),
        "positions": POSITIONS,
        "logits": base64.b64encode(logits[POSITIONS].float().numpy().astype("<f4").tobytes()).decode(),
    }
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    spread = float(logits.std())
    print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters, seed {seed}, logits' spread {spread:.2f}, least margin {margin:.4f}")
    return True


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "test/fixtures")
    for seed, (name, config) in enumerate(CASES.items(), start=1):
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        while not write(folder, name, config, seed):
            seed += 100


if __name__ == "__main__":
    main()
