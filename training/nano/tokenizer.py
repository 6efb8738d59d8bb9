"""Nano's tokenizer: byte-level BPE with Qwen2's pretokeniser, trained on the words of the world.

    python tokenizer.py OUT        writes OUT/tokenizer.json

Every word of the world, of its pictures and of its questions is one token with its leading space;
digits and the letters of codes stay single; any other text falls back to pieces and bytes.
"""

import re
import sys
from pathlib import Path
from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import documents
import filler
import words as w
import world

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"]
SIZE = 2560
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' -}}"
    "{%- if message['role'] == 'assistant' -%}{{- ' ' -}}{%- endif -%}"
    "{{- message['content'] | trim + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def listed_words() -> list[str]:
    """Every word that must become one token."""
    found: set[str] = set()
    for name, value in vars(w).items():
        if name.isupper() and not name.startswith("SYLLABLE"):
            found.update(x for entry in value for x in entry.split())
    for kind in world.KINDS.values():
        for a in kind.attributes.values():
            for text in a.phrases + a.sentences + a.questions:
                found.update(re.findall(r"[A-Za-z]+", re.sub(r"\{\w\}", " ", text)))
    pools = [v for k, v in vars(filler).items() if k.isupper()]
    for text in [t for pool in pools for t in pool] + documents.LEADS + documents.TITLES + documents.ASKS + [world.ABSENT]:
        found.update(re.findall(r"[A-Za-z]+", re.sub(r"\{\w+\}", " ", text)))
    found.update("euros dollars metres grams kilos minutes kitchen cellar garden office garage bedroom hall attic library cupboard barn school tower shed church "
                 "parcel order box file crate concert meeting wedding party exam fair lecture race dinner festival gate wing door mill castle safe lighthouse workshop laboratory house bridge project train street".split())
    return sorted(x for x in found if len(x) > 1)


def corpus() -> list[str]:
    """Word lists first (they decide the merges), then running text without codes."""
    lines = []
    for word in listed_words():
        lines += [f" {word}"] * 800
    starts = {x[0].upper() + x[1:] for pool in (filler.PEOPLE, filler.WHEN) for s in pool for x in s.split()[:1]}
    for word in sorted(starts | {"The", "A", "In", "On", "It", "She", "He", "What", "Who", "When", "Where", "Which", "How", "At", "From", "To", "By", "Can", "Please", "According", "user", "assistant", "system", "Is", "Are", "Draw", "Paint", "Make", "Add", "Remove", "Move", "Describe", "Project", "Parcel"}):
        lines += [word] * 800 + [f" {word}"] * 800
    r = Random(11)
    for _ in range(600):
        d = documents.make_document(r, 400, r.choice((0.1, 0.5, 1.0)), lambda s: len(s) // 4)
        text = d.text + "\n\n" + "\n".join(f"{q}\n {a}" for q, a in d.questions)
        lines.append(re.sub(r"\S*[A-Z0-9-]*\d\S*|\b[A-Z]{2,}\S*", "1", text))
    return lines


def build() -> Tokenizer:
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=SIZE - len(SPECIALS), initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    t.train_from_iterator(corpus(), trainer)
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIALS])
    return t


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    t = build()
    t.save(str(out / "tokenizer.json"))
    split = [x for x in listed_words() if len(t.encode(" " + x).ids) > 1]
    print(t.get_vocab_size(), "tokens;", len(listed_words()), "listed words;", len(split), "not single:", split)
