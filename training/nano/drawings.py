"""The drawings that collages are made of: their names, the artists ("hands") that drew them, and what is held out.

Nothing here reads pixels; training/drawings/rasterise.mjs makes them, collage_render.py pastes them. Three
things are held out of training, each by a hash that no seed changes:

* one hand, HELD_OUT_HAND: none of its drawings is ever trained on;
* one drawing in HELD_OUT of the other hands, of names that another hand still teaches;
* one pair of names in HELD_OUT: the two are never in one training picture.
"""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

HELD_OUT_HAND = "twemoji"
HELD_OUT = 6
NAMES: dict[str, dict[str, str]] = json.loads((Path(__file__).parents[1] / "drawings/names.json").read_text())
CATEGORY: dict[str, str] = {name: category for category, names in NAMES.items() for name in names}
WORDS: list[str] = sorted(CATEGORY)


@dataclass(frozen=True)
class Drawing:
    name: str
    hand: str
    colour: str | None = None  # its one colour, where it has one
    offset: int = 0  # of its pixels in drawings.bin


def hashed(*parts: str) -> int:
    return zlib.crc32("|".join(parts).encode())


def is_held_out_drawing(drawing: Drawing) -> bool:
    return drawing.hand == HELD_OUT_HAND or hashed("drawing", drawing.name, drawing.hand) % HELD_OUT == 0


def is_held_out_pair(one: str, other: str) -> bool:
    """Whether two different names may not meet in training."""
    return one != other and hashed("pair", *sorted((one, other))) % HELD_OUT == 0


class Library:
    """The drawings of a folder written by rasterise.mjs, by split."""

    def __init__(self, drawings: list[Drawing]):
        self.training: dict[str, list[Drawing]] = {}
        self.held_out: dict[str, list[Drawing]] = {}  # of the hands that are trained on
        self.other_hand: dict[str, list[Drawing]] = {}
        for drawing in drawings:
            split = self.other_hand if drawing.hand == HELD_OUT_HAND else self.held_out if is_held_out_drawing(drawing) else self.training
            split.setdefault(drawing.name, []).append(drawing)
        for name in [n for n in self.held_out if n not in self.training]:  # a name that would not be taught at all
            first, *rest = self.held_out.pop(name)
            self.training[name] = [first]
            if rest:
                self.held_out[name] = rest

    def every(self) -> list[Drawing]:
        return [d for split in (self.training, self.held_out, self.other_hand) for found in split.values() for d in found]

    def without(self, hands: set[str]) -> dict[str, list[Drawing]]:
        """Every drawing of other hands, by name."""
        found: dict[str, list[Drawing]] = {}
        for drawing in self.every():
            if drawing.hand not in hands:
                found.setdefault(drawing.name, []).append(drawing)
        return found


def open_library(folder: Path) -> Library:
    facts = json.loads((folder / "drawings.json").read_text())
    return Library([Drawing(d["name"], d["hand"], d["colour"], d["offset"]) for d in facts["drawings"]])
