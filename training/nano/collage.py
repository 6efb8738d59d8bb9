"""Collages: pictures of 128 x 128 pixels with one to six drawings, coloured shapes or a printed text on a ground,
and questions about them. Plain data, drawn from a `Random`; collage_render.py makes the pixels.

The picture has 3 x 3 cells, each with one place word; an item's centre decides its cell. Items of training are
training drawings, most of them varied (variation.py), and no two names of a held-out pair meet (drawings.py); held-out
texts are asked in tests only.
"""

from dataclasses import dataclass, replace
from random import Random

from drawings import CATEGORY, WORDS, Drawing, Library, hashed, is_held_out_pair
from english import HELD_OUT_WORDS, article, listed, plural, verb
from glyphs import GLYPHS

SIZE, CELLS = 128, 3
PLACES = ("northwest", "north", "northeast", "west", "centre", "east", "southwest", "south", "southeast")
COUNTS = ("zero", "one", "two", "three", "four", "five", "six")
SIDES = (26, 32, 38, 44, 56, 72)  # of drawings, as rasterise.mjs draws them
SMALL, LARGE = SIDES[:4], SIDES[4:]
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 45, 40), "blue": (45, 95, 220), "green": (45, 165, 75), "yellow": (248, 210, 50), "purple": (150, 70, 195),
    "orange": (245, 135, 35), "pink": (245, 150, 190), "brown": (130, 85, 50), "grey": (150, 150, 150), "black": (25, 25, 25), "white": (250, 250, 250),
}
SHAPES = ("circle", "square", "triangle", "star", "diamond", "ring")
SHAPE_COLOURS = tuple(c for c in COLOURS if c not in ("white", "grey"))
SHAPE_HAND = "shape"
HELD_OUT_SHAPES = frozenset((("circle", "yellow"), ("square", "purple"), ("triangle", "blue"), ("star", "green"), ("diamond", "red"), ("ring", "pink")))
BUSY = ("stripes", "checks", "dots", "gradient", "clouds")
TEXT_SHARE, SHAPE_SHARE, TWIN_SHARE, BUSY_SHARE, VARIED_SHARE = 0.22, 0.12, 0.25, 0.5, 0.75
QUESTIONS = {"what": 18, "count": 12, "where": 28, "beside": 16, "colour": 8, "exists": 8, "describe": 12}


@dataclass(frozen=True)
class Item:
    drawing: Drawing  # of the hand SHAPE_HAND: a shape in its colour
    side: int
    x: int  # of its centre
    y: int
    mirrored: bool = False
    variation: int | None = None  # seed of variation.py; None: as the artist drew it

    @property
    def name(self) -> str:
        return self.drawing.name

    @property
    def cell(self) -> int:
        return CELLS * (self.y * CELLS // SIZE) + self.x * CELLS // SIZE


@dataclass(frozen=True)
class Text:
    text: str
    scale: int  # pixels a dot of the 5 x 7 letters
    x: int  # upper left corner
    y: int
    ink: str
    paper: str | None  # colour of the label behind it; None: printed on the ground

    @property
    def width(self) -> int:
        return 6 * self.scale * len(self.text) + self.scale

    @property
    def height(self) -> int:
        return 9 * self.scale


@dataclass(frozen=True)
class Ground:
    kind: str  # "plain" or one of BUSY
    colours: tuple[str, str]
    seed: int


@dataclass(frozen=True)
class Collage:
    ground: Ground
    items: tuple[Item, ...]
    text: Text | None = None


def draw_ground(r: Random) -> Ground:
    busy = r.random() < BUSY_SHARE
    return Ground(r.choice(BUSY) if busy else "plain", tuple(r.sample(list(COLOURS), 2)), r.randrange(1 << 30))


def is_held_out_text(text: str) -> bool:
    return text in HELD_OUT_WORDS or (text.isdigit() and hashed("text", text) % 6 == 0)


def draw_text(r: Random, held_out: bool) -> str:
    """Three or four letters, or a number of one to four digits (held out: two to four)."""
    while True:
        if r.random() < 0.5:
            text = r.choice(sorted(HELD_OUT_WORDS)) if held_out else "".join(r.choices(list(GLYPHS), k=r.choice((2, 3, 3, 4, 4))))
        else:
            text = str(r.randrange(10 ** r.choice((2, 3, 4) if held_out else (1, 2, 3, 4))))
        if is_held_out_text(text) == held_out:
            return text


def place_text(r: Random, text: str) -> Text:
    scale = r.choice((2, 2, 3, 4) if len(text) <= 4 else (2,))
    ink = r.choice(("black", "black", "white", "red", "blue"))
    paper = r.choice([c for c in COLOURS if c not in (ink, "red" if ink == "black" else "brown")] if ink == "black" else ["white", "yellow"] if ink != "white" else ["black", "blue", "red", "purple"])
    t = Text(text, scale, 0, 0, ink, paper)
    return replace(t, x=r.randint(0, SIZE - t.width), y=r.randint(0, SIZE - t.height))


def pick_drawing(r: Random, library: Library, name: str, split: str) -> Drawing | None:
    """A drawing of a name in a split: "training", "held_out" or "other_hand"; None where it has none."""
    found = getattr(library, split).get(name)
    return r.choice(found) if found else None


def draw_shape(r: Random, held_out: bool) -> Drawing:
    while True:
        pair = r.choice(SHAPES), r.choice(SHAPE_COLOURS)
        if held_out or pair not in HELD_OUT_SHAPES:
            return Drawing(pair[0], SHAPE_HAND, pair[1])


def draw_collage(r: Random, library: Library, count: int, split: str = "training", text: bool | None = None) -> Collage:
    """A picture with `count` items; in training no held-out pair of names, in other splits one at least where there are two."""
    while True:
        items = draw_items(r, library, count, split)
        names = {i.name for i in items}
        if split == "training" or len(names) < 2 or any(is_held_out_pair(a, b) for a in names for b in names):
            break
    printed = None
    if text or (text is None and count <= 4 and r.random() < TEXT_SHARE):
        printed = fit_text(r, items, draw_text(r, split != "training"))
    return Collage(draw_ground(r), tuple(sorted(items, key=lambda i: (i.cell, i.name))), printed)


def draw_items(r: Random, library: Library, count: int, split: str) -> list[Item]:
    items: list[Item] = []
    names: list[str] = []
    cells = r.sample(range(CELLS * CELLS), count)
    tries = 0
    while len(items) < count:
        tries += 1
        if tries > 20 * count:  # no room beside a large drawing, or no name that may meet the others
            items, names, tries, cells = [], [], 0, r.sample(range(CELLS * CELLS), count)
        if r.random() < SHAPE_SHARE:
            drawing = draw_shape(r, split != "training")
            if any(i.name == drawing.name and i.drawing.colour != drawing.colour for i in items):
                continue  # two circles of different colours would make "the circle" two
        else:
            name = r.choice(names) if names and r.random() < TWIN_SHARE else r.choice(WORDS)
            if split == "training" and any(is_held_out_pair(name, other) for other in names):
                continue
            drawing = pick_drawing(r, library, name, split)
            if drawing is None:
                continue
        item = place(r, drawing, cells[len(items)], r.choice(LARGE) if count <= 2 and r.random() < 0.4 else r.choice(SMALL))
        if split == "training" and drawing.hand != SHAPE_HAND and r.random() < VARIED_SHARE:
            item = replace(item, variation=r.randrange(1 << 30))
        if overlap(items, item):
            continue
        items.append(item)
        if drawing.hand != SHAPE_HAND:
            names.append(drawing.name)
    return items


def place(r: Random, drawing: Drawing, cell: int, side: int) -> Item:
    row, column = divmod(cell, CELLS)
    def at(k: int) -> int:
        middle = round((k + 0.5) * SIZE / CELLS) + r.randint(-6, 6)
        return min(max(middle, (side + 1) // 2), SIZE - (side + 1) // 2)

    item = Item(drawing, side, at(column), at(row), r.random() < 0.5)
    assert item.cell == cell
    return item


def overlap(items: list[Item], new: Item, allowed: int = 10) -> bool:
    """Whether the square of an item covers another's by more than `allowed` pixels on both axes."""
    return any(max(abs(i.x - new.x), abs(i.y - new.y)) < (i.side + new.side) / 2 - allowed for i in items)


def fit_text(r: Random, items: list[Item], text: str) -> Text | None:
    """The text where it covers no item; None where no place was found."""
    for _ in range(30):
        t = place_text(r, text)
        if all(i.x + i.side / 2 <= t.x + 3 or t.x + t.width <= i.x - i.side / 2 + 3 or i.y + i.side / 2 <= t.y + 3 or t.y + t.height <= i.y - i.side / 2 + 3 for i in items):
            return t
    return None


def draw_texts(r: Random, tries: int = 8) -> list[Text]:
    """Texts of training that cover each other nowhere: as many of `tries` as find room."""
    texts: list[Text] = []
    for _ in range(tries):
        t = place_text(r, draw_text(r, held_out=False))
        if all(t.x + t.width <= o.x or o.x + o.width <= t.x or t.y + t.height <= o.y or o.y + o.height <= t.y for o in texts):
            texts.append(t)
    return texts


def describe(c: Collage) -> str:
    """Items in order of their cells."""
    parts = [f"{article(full_name(i))} {PLACES[i.cell]}" for i in c.items]
    return listed(parts) if parts else "nothing"


def full_name(i: Item) -> str:
    return f"{i.drawing.colour} {i.name}" if i.drawing.hand == SHAPE_HAND else i.name


def single(c: Collage) -> list[Item]:
    """Items whose name is theirs alone."""
    return [i for i in c.items if sum(o.name == i.name for o in c.items) == 1]


def question(r: Random, c: Collage, kind: str) -> tuple[str, str] | None:
    """A question of a kind and its answer; None where the picture allows none."""
    match kind:
        case "what":
            if not c.items:
                return None
            i = r.choice(c.items)
            form = r.choice(("What is in the {p}?", "What is in the {p}?", "Which thing is {p}?", "What does the {p} show?"))
            return form.format(p=PLACES[i.cell]), full_name(i)
        case "count":
            if r.random() < 0.5 or not c.items:
                return r.choice(("How many things are there?", "How many objects are in the picture?")), COUNTS[len(c.items)]
            name = r.choice(c.items).name if r.random() < 0.85 else other_name(r, c)
            return f"How many {plural(name)} are there?", COUNTS[sum(i.name == name for i in c.items)]
        case "where":
            if not (alone := single(c)):
                return None
            i = r.choice(alone)
            return r.choice(("Where {is_} the {n}?", "Where {is_} the {n}?", "Which place {is_} the {n} in?")).format(n=i.name, is_=verb(i.name)), PLACES[i.cell]
        case "beside":
            return beside(r, c)
        case "colour":
            known = [i for i in single(c) if i.drawing.colour]
            if c.ground.kind == "plain" and (not known or r.random() < 0.4):
                return r.choice(("What colour is the background?", "Which colour is the ground?")), c.ground.colours[0]
            if not known:
                return None
            i = r.choice(known)
            return f"What colour {verb(i.name)} the {i.name}?", i.drawing.colour or ""
        case "exists":
            name = r.choice(c.items).name if c.items and r.random() < 0.5 else other_name(r, c)
            return r.choice(("{is_} there {a}?", "{is_} there {a} in the picture?")).format(a=article(name), is_=verb(name).capitalize()), "yes" if any(i.name == name for i in c.items) else "no"
        case "describe":
            return r.choice(("Describe the picture.", "What is in the picture?", "What does the picture show?")), describe(c)
        case "read":
            if c.text is None:
                return None
            number = c.text.text.isdigit()
            forms = ("What does it say?", "What does the picture say?", "Which number is in the picture?" if number else "Which word is in the picture?")
            return r.choice(forms), c.text.text
        case _:
            raise ValueError(f"no question {kind!r}")


def other_name(r: Random, c: Collage) -> str:
    """A name that is not in the picture; more often than not of a category that is."""
    here = {i.name for i in c.items}
    near = [n for n in WORDS if n not in here and CATEGORY[n] in {CATEGORY.get(h) for h in here}]
    return r.choice(near) if near and r.random() < 0.6 else r.choice([n for n in WORDS if n not in here])


def beside(r: Random, c: Collage) -> tuple[str, str] | None:
    """Which of two is further to one side, or whether one is; they must differ by a whole cell."""
    across = r.random() < 0.6
    alone = single(c)
    def line(i: Item) -> int:
        return i.cell % CELLS if across else i.cell // CELLS

    pairs = [(a, b) for a in alone for b in alone if line(a) < line(b)]
    if not pairs:
        return None
    first, second = r.choice(pairs)  # first is further left, or further up
    low, high = ("left", "right") if across else ("above", "below")
    one, other = (first, second) if r.random() < 0.5 else (second, first)
    if r.random() < 0.5:
        word = r.choice(("left", "right")) if across else r.choice(("up", "down"))
        answer = first if word in ("left", "up") else second
        return f"Which is further {word}, the {one.name} or the {other.name}?", answer.name
    word = r.choice((low, high))
    truth = (one is first) == (word == low)
    side = f"{word} of" if across else word
    return f"{verb(one.name).capitalize()} the {one.name} {side} the {other.name}?", "yes" if truth else "no"


def draw_questions(r: Random, c: Collage, turns: int, legible: bool = True) -> list[tuple[str, str]]:
    """Different questions about one picture; about its text first among equals, where it is `legible`."""
    asked: dict[str, str] = {}
    if c.text is not None and legible:
        asked.update([question(r, c, "read")])
    for _ in range(8 * turns):
        if len(asked) >= turns:
            break
        if made := question(r, c, r.choices(list(QUESTIONS), list(QUESTIONS.values()))[0]):
            asked.setdefault(*made)
    pairs = list(asked.items())
    r.shuffle(pairs)
    return pairs
