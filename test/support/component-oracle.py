"""Writes test/text/components.oracle.json: small tokenizer.json files, one for every component, with what Hugging Face's own library makes of texts.

pip install tokenizers==0.23.3; python test/support/component-oracle.py (from the repository's root). The file says which version wrote it.
"""
import json
import random

import tokenizers
from tokenizers import Tokenizer

rng = random.Random(31)
printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
letters = [chr(b) if b in printable else None for b in range(256)]
unseen = iter(range(256, 400))
letters = [c if c is not None else chr(next(unseen)) for c in letters]

tokens, merges = list(letters), []
parts = ["a", "b", "e", "t", "h", "Ġ", "Ã", "¤", "1", ".", "'", "s"]
while len(merges) < 80:
    left, right = rng.choice(parts), rng.choice(parts)
    if len(left + right) > 10 or left + right in tokens:
        continue
    tokens.append(left + right)
    parts.append(left + right)
    merges.append(left + " " + right)
byte_vocab = {t: i for i, t in enumerate(tokens)}
byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
bytes_only = {**byte_level, "use_regex": False}

plain_tokens = ["<unk>", *"▁abehtäéx0123.,!-", "th", "the", "▁th", "▁the", "ab", "▁a", "##b", "##he", "be"]
plain_vocab = {t: i for i, t in enumerate(plain_tokens)}
plain_merges = ["t h", "▁ th", "th e", "▁th e", "a b", "▁ a", "b e"]


def sequence(kind, *steps):
    return {"type": "Sequence", kind: list(steps)}


def added(content, index, **flags):
    return {"id": index, "content": content, "special": False, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False, **flags}


def whole(model, **rest):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None,
            "decoder": None, **rest, "model": model}


def bpe(default_vocab, default_merges, **rest):
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
            "byte_fallback": False, "ignore_merges": False, "vocab": default_vocab, "merges": default_merges, **rest}


def by_bytes(pre=byte_level, model=None, **rest):
    return whole(bpe(byte_vocab, merges, **(model or {})), pre_tokenizer=pre, decoder=byte_level, **rest)


def plain(model=None, **rest):
    return whole(bpe(plain_vocab, plain_merges, **{"unk_token": "<unk>", "fuse_unk": True, **(model or {})}), **rest)


def split(pattern, behavior, invert=False):
    return sequence("pretokenizers", {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}, bytes_only)


def metaspace(scheme, cuts=True):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cuts}


digits, digit_runs = {"type": "Digits", "individual_digits": True}, {"type": "Digits", "individual_digits": False}
hexes = [f"<0x{b:02X}>" for b in range(256)]
fallback_vocab = {t: i for i, t in enumerate(["<unk>", *hexes, *plain_tokens[1:]])}
fallback_decoder = sequence("decoders", {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                            {"type": "Strip", "content": " ", "start": 1, "stop": 0})
scored = [[t, 0.0 if i == 0 else -1 - ((i * 37) % 11) / 3.7] for i, t in enumerate(plain_tokens) if not t.startswith("##")]
words = ["[UNK]", "[CLS]", "[SEP]", "the", "a", "##b", "##he", "t", "!", ",", "##a", "b", "é", "##e", "e", "##t"]
word_piece = {"type": "WordPiece", "vocab": {t: i for i, t in enumerate(words)}, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 8}


def bert(clean, chinese, accents, lower):
    return {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": accents, "lowercase": lower}


components = {
    "ByteLevel": by_bytes(),
    "ByteLevel with a space before": by_bytes({**byte_level, "add_prefix_space": True}),
    "Digits, then ByteLevel": by_bytes(sequence("pretokenizers", digits, byte_level)),
    "Digits, then ByteLevel with spaces before": by_bytes(sequence("pretokenizers", digits, {**byte_level, "add_prefix_space": True})),
    "Digits together": by_bytes(sequence("pretokenizers", digit_runs, byte_level)),
    "ignore_merges": by_bytes(model={"ignore_merges": True}),
    "merges as pairs": by_bytes(model={"merges": [m.split(" ") for m in merges]}),
    **{f"Split {b}": by_bytes(split({"Regex": "[ae]|  "}, b)) for b in ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]},
    **{f"Split {b} inverted": by_bytes(split({"Regex": r"\S+"}, b, True)) for b in ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]},
    "Split by a string": by_bytes(split({"String": "th"}, "Isolated")),
    "Split by words": by_bytes(split({"Regex": r"\w+|[^\w\s]+"}, "Removed", True)),
    "Lowercase": by_bytes(normalizer={"type": "Lowercase"}),
    "NFC": by_bytes(normalizer={"type": "NFC"}),
    "NFKC": by_bytes(normalizer={"type": "NFKC"}),
    "Nmt": by_bytes(normalizer={"type": "Nmt"}),
    "Prepend and Replace": plain(normalizer=sequence("normalizers", {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"})),
    "Replace by an expression": plain(normalizer=sequence("normalizers", {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}, {"type": "Lowercase"})),
    "NFD, StripAccents, Strip": plain(normalizer=sequence("normalizers", {"type": "NFD"}, {"type": "StripAccents"}, {"type": "Strip", "strip_left": True, "strip_right": True})),
    **{f"Metaspace {s}": plain(pre_tokenizer=metaspace(s), decoder=metaspace(s)) for s in ["always", "first", "never"]},
    "Metaspace in one piece": plain(pre_tokenizer=metaspace("always", False), decoder=metaspace("always", False)),
    "Whitespace": plain(pre_tokenizer={"type": "Whitespace"}),
    "WhitespaceSplit": plain(pre_tokenizer={"type": "WhitespaceSplit"}),
    "WhitespaceSplit, then Metaspace": plain(pre_tokenizer=sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("always")), decoder=metaspace("always")),
    "WhitespaceSplit, then Metaspace first": plain(pre_tokenizer=sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("first")), decoder=metaspace("first")),
    "Digits, then Metaspace": plain(pre_tokenizer=sequence("pretokenizers", digits, metaspace("always")), decoder=metaspace("always")),
    "Punctuation": plain(pre_tokenizer=sequence("pretokenizers", {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "MergedWithPrevious"})),
    "unknown characters one by one": plain({"fuse_unk": False}),
    "no unknown token": plain({"unk_token": None, "fuse_unk": False}),
    "byte fallback": plain({"byte_fallback": True, "vocab": fallback_vocab}, normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, decoder=fallback_decoder),
    "Unigram": whole({"type": "Unigram", "unk_id": 0, "vocab": scored, "byte_fallback": False}, pre_tokenizer=metaspace("always"), decoder=metaspace("always")),
    "WordPiece": whole(word_piece, normalizer=bert(True, True, None, True), pre_tokenizer={"type": "BertPreTokenizer"}, decoder={"type": "WordPiece", "prefix": "##", "cleanup": True}),
    "WordPiece with its case": whole(word_piece, normalizer=bert(True, False, False, False), pre_tokenizer={"type": "BertPreTokenizer"}, decoder={"type": "WordPiece", "prefix": "##", "cleanup": False}),
    "added tokens": by_bytes(normalizer={"type": "Lowercase"}, added_tokens=[
        added("<s>", 336, special=True), added("<left>", 337, lstrip=True), added("<right>", 338, rstrip=True), added("word", 339, single_word=True),
        added("NORMAL", 340, normalized=True), added("<s>>", 341), added("<both>", 342, special=True, lstrip=True, rstrip=True), added("the the", 343, normalized=True)]),
}

ranges = [(0x20, 0x7E), (0x0, 0x20), (0x80, 0x17F), (0x300, 0x36F), (0x370, 0x3FF), (0x600, 0x6FF), (0x900, 0x97F), (0x2000, 0x206F), (0x2150, 0x218F), (0x3000, 0x30FF),
          (0x4E00, 0x4FFF), (0xAC00, 0xADFF), (0xFB00, 0xFB06), (0xFF00, 0xFFEF), (0x1F300, 0x1F6FF)]
snippets = [" the", "the", "  ", "\n", "12", "3.", "THE", "don't", "I'LL", "'s", "▁", "▁a", "<s>", "a <left> b", "a <right> b", "word", "words", "aNORMALb", "normal", "<s>>",
            " <both> ", "the the", "ab", "abab", "be", "ΑΣ", "é", "e\u0301", "ﬁ", "²", "\u0085", "\ufeff", "!", ", ", " ."]


def text(i):
    out = ""
    for _ in range(rng.randint(1, 9)):
        kind = rng.random()
        if kind < 0.45:
            out += rng.choice(snippets)
        elif kind < 0.8 or i % 2:
            out += "".join(rng.choice("abeth 1.") for _ in range(rng.randint(1, 6)))
        else:
            low, high = rng.choice(ranges)
            out += chr(rng.randint(low, high))
    return out


texts = ["", " ", "a", " the", *(text(i) for i in range(56))]
cases = []
for name, definition in components.items():
    tokenizer = Tokenizer.from_str(json.dumps(definition))
    results = []
    for t in texts:
        ids = tokenizer.encode(t, add_special_tokens=False).ids
        results.append([ids, tokenizer.decode(ids)])
    cases.append({"name": name, "tokenizer": definition, "results": results})
with open("test/text/components.oracle.json", "w", encoding="utf-8") as file:
    json.dump({"tokenizers": tokenizers.__version__, "texts": texts, "cases": cases}, file, ensure_ascii=True, separators=(",", ":"))
