"""Nano's vocabulary with the names of the drawings: python vocabulary.py OUT writes OUT/tokenizer.json.

The committed tokenizer is extended, never trained again: each new word gets the merges that join its present pieces,
from the left, below all merges that there are. So old tokens keep their ids, and old text its tokens unless it holds a
new word or its beginning. New ids follow the special tokens.
"""

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer

import collage
from batches import TOKENIZER
from drawings import WORDS

QUESTION_WORDS = "things thing objects object background ground further left right above below up down show say number word"


def new_words() -> list[str]:
    """Words that are to be one token each with their leading space."""
    phrases = [*WORDS, *collage.SHAPES, *collage.PLACES, *collage.COUNTS, *collage.COLOURS, QUESTION_WORDS]
    return sorted({word for phrase in phrases for word in phrase.split()})


def extended(spec: dict, words: list[str]) -> dict:
    """The tokenizer.json `spec` in which each of `words` is one token after a space."""
    spec = json.loads(json.dumps(spec))
    vocabulary, merges = spec["model"]["vocab"], spec["model"]["merges"]
    pairs = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in merges]
    vocabulary.update({t["content"]: t["id"] for t in spec["added_tokens"]})  # else they would be numbered anew, after the last word
    following = len(vocabulary)
    known = set(pairs)
    for word in words:
        pieces = Tokenizer.from_str(json.dumps(spec)).encode(f" {word}").tokens
        whole = pieces[0]
        for piece in pieces[1:]:
            if (whole, piece) not in known:
                known.add((whole, piece))
                merges.append([whole, piece] if isinstance(merges[0], list) else f"{whole} {piece}")
            whole += piece
            if whole not in vocabulary:
                vocabulary[whole] = following
                following += 1
    return spec


def build(base: Path = TOKENIZER) -> Tokenizer:
    return Tokenizer.from_str(json.dumps(extended(json.loads(base.read_text()), new_words())))


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    t = build()
    t.save(str(out / "tokenizer.json"))
    before = Tokenizer.from_file(str(TOKENIZER))
    split = [x for x in new_words() if len(t.encode(f" {x}").ids) > 1]
    print(before.get_vocab_size(), "->", t.get_vocab_size(), "tokens;", len(new_words()), "words, not single:", split)
