"""Writes what upstream's own implementation computes of texts: vectors of encoders, and scores of cross-encoders.

    python training/parity/encoders.py fixtures [test/fixtures/encoders]
    python training/parity/encoders.py minilm

`fixtures`: tiny random checkpoints, one Hugging Face folder a case (config.json, model.safetensors in F32, and sentence-transformers' modules.json with
what it names) and expected.json: upstream's versions, texts as ids (pairs with their segments), and their vectors or scores (base64 of little-endian
f32). Computed in f64 by `transformers`, eager attention, each text by itself.

`minilm` writes test/fixtures/real/minilm.json: the vectors of 100 texts by all-MiniLM-L6-v2 (`npm run models -- minilm`), as sentence-transformers makes
them: at most 256 tokens, the mean of the last states, length 1. Vectors are base64 of little-endian f16.
"""

import base64
import json
import math
import os
import shutil
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    Gemma3TextConfig,
    Gemma3TextModel,
    LlamaConfig,
    LlamaModel,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    NomicBertConfig,
    NomicBertModel,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
    XLMRobertaModel,
)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("OCTAVO_MODELS", ROOT / ".cache/models"))

LENGTHS = [1, 5, 12, 12, 23, 40, 33, 7]
VOCABULARY = 64
SHAPE = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4)
BERT = SHAPE | dict(max_position_embeddings=64, type_vocab_size=2, pad_token_id=0)
ROBERTA = SHAPE | dict(max_position_embeddings=66, type_vocab_size=1, pad_token_id=1)
MODERN = SHAPE | dict(
    num_hidden_layers=4, max_position_embeddings=64, local_attention=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2
)
DECODER = SHAPE | dict(num_key_value_heads=2, head_dim=16, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)

IDENTITY = "torch.nn.modules.linear.Identity"
TANH = "torch.nn.modules.activation.Tanh"

# name: (model class, configuration, pooling or None for scores, dense modules as (width, activation, bias))
CASES = {
    "bert": (BertModel, BertConfig(**BERT), "mean_tokens", []),
    "bert-cls-dense": (BertModel, BertConfig(**BERT | dict(hidden_act="gelu_new")), "cls_token", [(24, TANH, True)]),
    "bert-rank": (BertForSequenceClassification, BertConfig(**BERT, num_labels=1), None, []),
    "roberta": (XLMRobertaModel, XLMRobertaConfig(**ROBERTA), "mean_tokens", []),
    "roberta-rank": (XLMRobertaForSequenceClassification, XLMRobertaConfig(**ROBERTA, num_labels=1), None, []),
    "mpnet": (MPNetModel, MPNetConfig(**SHAPE | dict(max_position_embeddings=66)), "mean_tokens", []),
    "nomic-bert": (
        NomicBertModel,
        NomicBertConfig(**BERT, rope_parameters={"rope_type": "default", "rope_theta": 1000.0}),
        "mean_tokens",
        [],
    ),
    "modern-bert": (ModernBertModel, ModernBertConfig(**MODERN), "mean_tokens", []),
    "modern-bert-rank": (ModernBertForSequenceClassification, ModernBertConfig(**MODERN, num_labels=1, classifier_pooling="mean"), None, []),
    # 7 layers, of which the sixth sees everything; the others 2 tokens on either side.
    "gemma-embedding": (
        Gemma3TextModel,
        Gemma3TextConfig(
            **DECODER | dict(num_hidden_layers=7, query_pre_attn_scalar=24, sliding_window=4, use_bidirectional_attention=True),
            rope_parameters={
                "full_attention": {"rope_type": "default", "rope_theta": 1000000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            },
        ),
        "mean_tokens",
        [(48, IDENTITY, False), (32, IDENTITY, False)],
    ),
    "qwen3-embedding": (
        Qwen3Model,
        Qwen3Config(**DECODER, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, use_sliding_window=False, tie_word_embeddings=True),
        "lasttoken",
        [],
    ),
    # Its scores are the logit of the id YES above that of the id NO behind the last token.
    "qwen3-reranker": (
        Qwen3ForCausalLM,
        Qwen3Config(**DECODER, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, use_sliding_window=False, tie_word_embeddings=True),
        None,
        [],
    ),
}
YES, NO = 7, 11

# Token Prepending over a plain decoder: before layers 1 to PREPENDED - 1, the placeholder's state becomes the last token's; the vector is the last token's
# state before the last layer.
CASES["llama-prepended"] = (
    LlamaModel,
    LlamaConfig(**DECODER | dict(num_hidden_layers=13), rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, tie_word_embeddings=True),
    "prepended",
    [],
)
PREPENDED = 3
PLACEHOLDER = 2


def randomise(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Weights large enough that vectors differ from text to text; norms away from 1, biases away from 0."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            if "norm" in name.lower() and parameter.ndim == 1:
                parameter.copy_(0.3 * noise if name.endswith("bias") else 1 + 0.3 * noise)
            elif name.endswith("bias") and parameter.ndim == 1:
                parameter.copy_(0.3 * noise)
            elif "embedding" in name or "embed_tokens" in name or "relative_attention_bias" in name:
                parameter.copy_(0.5 * noise)
            else:
                parameter.copy_(noise * 1.2 / math.sqrt(parameter.shape[-1]))


def packed(tensor: torch.Tensor) -> str:
    return base64.b64encode(tensor.float().contiguous().numpy().astype("<f4").tobytes()).decode()


def pool(states: torch.Tensor, pooling: str) -> torch.Tensor:
    return {"mean_tokens": states.mean(0), "cls_token": states[0], "lasttoken": states[-1]}[pooling]


def write_modules(target: Path, pooling: str, hidden: int, dense: list, generator: torch.Generator) -> list[torch.nn.Module]:
    """sentence-transformers' files beside the model. Returns the dense modules, in f64."""
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modules += [(f"{2 + i}_Dense", "Dense") for i in range(len(dense))]
    modules += [(f"{2 + len(dense)}_Normalize", "Normalize")]
    listed = [dict(idx=i, name=str(i), path=path, type=f"sentence_transformers.models.{kind}") for i, (path, kind) in enumerate(modules)]
    (target / "modules.json").write_text(json.dumps(listed, indent=1) + "\n")
    (target / "sentence_bert_config.json").write_text(json.dumps(dict(max_seq_length=48)) + "\n")
    (target / "1_Pooling").mkdir()
    modes = {f"pooling_mode_{mode}": mode == pooling for mode in ["cls_token", "mean_tokens", "max_tokens", "lasttoken"]}
    (target / "1_Pooling/config.json").write_text(json.dumps(dict(word_embedding_dimension=hidden) | modes, indent=1) + "\n")
    layers = []
    before = hidden
    for i, (width, activation, bias) in enumerate(dense):
        layer = torch.nn.Linear(before, width, bias=bias)
        randomise(layer, generator)
        folder = target / f"{2 + i}_Dense"
        folder.mkdir()
        save_file({f"linear.{name}": value.detach().contiguous() for name, value in layer.named_parameters()}, folder / "model.safetensors")
        described = dict(in_features=before, out_features=width, bias=bias, activation_function=activation)
        (folder / "config.json").write_text(json.dumps(described, indent=1) + "\n")
        layers += [layer.double(), torch.nn.Tanh() if activation == TANH else torch.nn.Identity()]
        before = width
    return layers


def prepend(_layer, args, kwargs):
    hidden = args[0].clone()
    hidden[:, PLACEHOLDER] = hidden[:, -1]
    return (hidden, *args[1:]), kwargs


def write(folder: Path, name: str, seed: int) -> None:
    kind, config, pooling, dense = CASES[name]
    config._attn_implementation = "eager"
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = kind(config).eval().float()
    randomise(model, generator)
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    model.save_pretrained(target)
    behind = [] if pooling in [None, "prepended"] else write_modules(target, pooling, config.hidden_size, dense, generator)
    model = model.double()
    if pooling == "prepended":
        for layer in model.layers[1:PREPENDED]:
            layer.register_forward_pre_hook(prepend, with_kwargs=True)

    texts, results = [], []
    for length in LENGTHS if pooling != "prepended" else LENGTHS[1:]:
        ids = torch.randint(3, VOCABULARY, (length,), generator=generator)
        second = length // 2
        segments = torch.tensor([0] * second + [1] * (length - second))
        rows = getattr(config, "type_vocab_size", 0)
        pair = pooling is None
        given = dict(token_type_ids=segments[None]) if pair and rows == 2 else {}
        with torch.no_grad():
            out = model(ids[None], **given)
            if pooling == "prepended":
                last = model(ids[None], output_hidden_states=True).hidden_states[-2][0, -1]
                result = last / last.norm()
            elif pair:
                result = out.logits[0]
                if kind is Qwen3ForCausalLM:
                    result = result[-1, YES, None] - result[-1, NO, None]
            else:
                result = pool(out.last_hidden_state[0], pooling)
                for layer in behind:
                    result = layer(result)
                result = result / result.norm()
        more = dict(second=second) if pair else dict(placeholder=PLACEHOLDER) if pooling == "prepended" else {}
        texts.append(dict(ids=ids.tolist()) | more)
        results.append(result)
    stacked = torch.stack(results)
    expected = {
        "upstream": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "seed": seed,
        "texts": texts,
        "width": stacked.shape[1],
        "results": packed(stacked),
    }
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    spread = float(stacked.std(0).mean())
    print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters, spread {spread:.3f}; {sorted(model.state_dict())[:3]}")


# Beginnings of books in the public domain, in several languages, and what tokenizers find difficult.
SENTENCES = [
    "Call me Ishmael.",
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.",
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife.",
    "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do.",
    "Happy families are all alike; every unhappy family is unhappy in its own way.",
    "Als Gregor Samsa eines Morgens aus unruhigen Träumen erwachte, fand er sich in seinem Bett zu einem ungeheueren Ungeziefer verwandelt.",
    "Longtemps, je me suis couché de bonne heure.",
    "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho tiempo que vivía un hidalgo.",
    "Nel mezzo del cammin di nostra vita mi ritrovai per una selva oscura, ché la diritta via era smarrita.",
    "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.",
    "吾輩は猫である。名前はまだ無い。",
    "道可道，非常道。名可名，非常名。",
    "The cat sits outside",
    "A man is playing guitar",
    "How do I reset my password?",
    "Password reset: open Settings, choose Account, and press Forgot password.",
    "def add(a: int, b: int) -> int:\n    return a + b",
    "SELECT name, COUNT(*) FROM users WHERE created_at > '2024-01-01' GROUP BY name;",
    "E = mc², ∑ᵢ xᵢ ≥ 0, 3.14159 × 10⁻⁵",
    "naïve café résumé Ångström İstanbul ß ﬁ",
    "🙂🚀 emoji 👩‍👩‍👧 and text",
    "URL: https://example.org/path?query=1&other=two#part",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "a",
    "12345 67,890.12 1e-9 0x1F",
]


def texts() -> list[str]:
    out = list(SENTENCES)
    # Neighbours joined: longer texts, up to some that have more than 256 tokens.
    for count in [2, 3, 5]:
        out += [" ".join(SENTENCES[(i + k) % len(SENTENCES)] for k in range(count)) for i in range(len(SENTENCES))]
    out[-5:] = [" ".join(SENTENCES[i:]) for i in range(5)]
    return out


def minilm() -> None:
    folder = CACHE / "all-MiniLM-L6-v2"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    vectors, tokens = [], []
    for text in texts():
        encoded = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            mean = model(**encoded).last_hidden_state[0].mean(0)
        vectors.append(mean / mean.norm())
        tokens.append(encoded["input_ids"].shape[1])
    stacked = torch.stack(vectors)
    fixture = {
        "upstream": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "texts": texts(),
        "tokens": tokens,
        "width": stacked.shape[1],
        "vectors": base64.b64encode(stacked.numpy().astype("<f2").tobytes()).decode(),
    }
    (ROOT / "test/fixtures/real/minilm.json").write_text(json.dumps(fixture, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(tokens)} texts of {min(tokens)} to {max(tokens)} tokens")


def main() -> None:
    command, *rest = sys.argv[1:] or ["fixtures"]
    if command == "minilm":
        return minilm()
    folder = Path(rest[0] if rest else ROOT / "test/fixtures/encoders")
    for seed, name in enumerate(CASES, start=1):
        write(folder, name, seed)


if __name__ == "__main__":
    main()
