"""Write eval/needles.json: needles (one held-out fact each) and hay (filler sentences) for grids of length by depth.

    python heldout_needles.py

The evaluation builds a haystack of the length it wants by drawing sentences of the hay and putting one needle in. Facts as in
heldout_documents.py: held out of training by hash. No sentence of the hay names a person.
"""

import json
from pathlib import Path
from random import Random

import words as w
from documents import ask, make_facts, state
from filler import sentence

OUT = Path(__file__).parents[2] / "eval/needles.json"
SEED = 13
NEEDLES, HAY = 100, 700


def hay(r: Random, count: int) -> list[str]:
    people = set(w.FEMALE + w.MALE)
    found: dict[str, None] = {}
    while len(found) < count:
        text = sentence(r, [])
        if not people & {part.strip(".,") for part in text.split()}:
            found[text] = None
    return list(found)


def needles(r: Random, count: int) -> list[list[str]]:
    """[sentence, question, answer]"""
    made = []
    while len(made) < count:
        [fact] = make_facts(r, 1, held_out=True)
        made.append([state(r, fact), ask(r, fact), fact.value])
    return made


def main() -> None:
    r = Random(f"heldout needles/{SEED}")
    found = {"note": "written by training/nano/heldout_needles.py, which explains it", "seed": SEED, "needles": needles(r, NEEDLES), "hay": hay(r, HAY)}
    lines = [f"{json.dumps(key)}: " + (json.dumps(value) if not isinstance(value, list) else "[\n" + ",\n".join(json.dumps(row) for row in value) + "\n]") for key, value in found.items()]
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(OUT, OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
