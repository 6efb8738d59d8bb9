"""Write eval/nano-documents.json.gz: documents with held-out facts, on which any engine's answers are scored.

    python heldout_documents.py

500 questions a row, at most four a document, so that the file stays small: questions of one document are
not quite independent, and intervals that treat them so are a little narrow. Facts as in evaluate.py:
held out of training by hash.
"""

import gzip
import json
from pathlib import Path
from random import Random

from batches import Codec
from documents import ask_absent, make_document
from world import ABSENT

OUT = Path(__file__).parents[2] / "eval/nano-documents.json.gz"
SEED = 11
QUESTIONS, A_DOCUMENT = 500, 4
# name: (document tokens, share of fact sentences)
ROWS = {"sparse 512": (512, 0.08), "sparse 1000": (1000, 0.08), "sparse 2000": (2000, 0.08), "dense 512": (512, 1.0), "absent 512": (512, 0.08)}


def row(codec: Codec, name: str, tokens: int, density: float) -> list[list]:
    """[[document, [[question, answer], ...]], ...]"""
    r = Random(f"heldout documents/{SEED}/{name}")
    made, left = [], QUESTIONS
    while left > 0:
        document = make_document(r, tokens, density, codec.count, held_out=True)
        if name.startswith("absent"):
            asked = [(ask_absent(r, document.facts), ABSENT) for _ in range(A_DOCUMENT)]
        else:
            asked = r.sample(document.questions, min(A_DOCUMENT, len(document.questions)))
        asked = asked[:left]
        left -= len(asked)
        made.append([document.text, [list(pair) for pair in asked]])
    return made


def main() -> None:
    codec = Codec()
    text = json.dumps({name: row(codec, name, *spec) for name, spec in ROWS.items()}, separators=(",", ":"))
    OUT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(OUT, OUT.stat().st_size, "bytes,", len(text), "unpacked")


if __name__ == "__main__":
    main()
