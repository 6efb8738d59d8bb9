"""Write eval/nano-documents.json.gz: documents with held-out facts, on which any engine's answers are scored.

    python heldout_documents.py

500 questions a row, at most four a document, so that the file stays small: questions of one document are
not quite independent, and intervals that treat them so are a little narrow. Facts as in evaluate.py:
held out of training by hash. The rows of `READING` have everyday clauses beside the facts (300 questions each):
questions about the clauses, about two things at once, that follow up another one, and that are not answered.
"""

import gzip
import json
from pathlib import Path
from random import Random

from batches import Codec
from documents import ask_absent, ask_both, follow_clause, follow_up, make_document
from world import ABSENT

OUT = Path(__file__).parents[2] / "eval/nano-documents.json.gz"
SEED = 11
QUESTIONS, A_DOCUMENT = 500, 4
# name: (document tokens, share of fact sentences)
ROWS = {"sparse 512": (512, 0.08), "sparse 1000": (1000, 0.08), "sparse 2000": (2000, 0.08), "dense 512": (512, 1.0), "absent 512": (512, 0.08)}
READING = ("everyday 512", "two facts 512", "follow-ups 512", "everyday absent 512")
READING_QUESTIONS, READING_DENSITY, CLAUSES = 300, 0.25, 0.6


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


def reading_row(codec: Codec, name: str) -> list[list]:
    """As `row`; a question that follows up another one has that question and its answer before it: [first, its answer, follow-up, its answer]."""
    r = Random(f"heldout documents/{SEED}/{name}")
    made, left = [], READING_QUESTIONS
    while left > 0:
        document = make_document(r, 512, READING_DENSITY, codec.count, held_out=True, clause_share=CLAUSES)
        match name:
            case "everyday 512":
                found = [asked for clause in document.more for asked in clause]
            case "two facts 512":
                asked = [*document.questions, *(asked for clause in document.more for asked in clause)]
                r.shuffle(asked)
                found = [ask_both(*pair) for pair in zip(asked[::2], asked[1::2])]
            case "follow-ups 512":
                known = list(zip(document.facts, document.questions))
                found = [(*asked, question, fact.value) for before, asked in known for fact, _ in known if fact is not before and (question := follow_up(r, before, fact))]
                for clause in document.more:
                    found += [(*asked, question, other[1]) for asked in clause for other in clause if other is not asked and (question := follow_clause(r, asked[0], other[0]))]
            case _:
                found = [(question, ABSENT) for question in document.unanswered]
        if found:
            found = r.sample(found, min(A_DOCUMENT, len(found), left))
            left -= len(found)
            made.append([document.text, [list(asked) for asked in found]])
    return made


def main() -> None:
    codec = Codec()
    rows = {name: row(codec, name, *spec) for name, spec in ROWS.items()} | {name: reading_row(codec, name) for name in READING}
    text = json.dumps(rows, separators=(",", ":"))
    OUT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(OUT, OUT.stat().st_size, "bytes,", len(text), "unpacked")


if __name__ == "__main__":
    main()
