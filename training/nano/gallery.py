"""The gallery: pictures of 64 x 64 pixels that are painted on request, with named drawings and coloured shapes on a coloured ground.

Two by two cells of 32 pixels, as the small world has them, enlarged twice: its pictures are pictures of the gallery.
Drawings are of one hand, HAND. Plain data, drawn from a `Random`; gallery_batches.py makes tokens of it.

Held out of training: pairs of names (drawings.is_held_out_pair) in one picture or one edit, and the small world's pairs of shape and colour.
"""

from dataclasses import dataclass, replace
from random import Random

from drawings import WORDS, is_held_out_pair
from english import article, listed

HAND = "fluent"
SIZE, CELLS = 64, 2
PLACES = ("northwest", "northeast", "southwest", "southeast")
GROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255), "blue": (120, 165, 240), "green": (140, 205, 140), "yellow": (250, 230, 140), "pink": (250, 195, 215),
    "grey": (190, 190, 190), "black": (40, 40, 40),
}
SHAPES = ("circle", "square", "triangle", "star")  # of the small world, with its colours
COLOURS = ("red", "blue", "green", "yellow", "purple", "orange")
HELD_OUT_SHAPES = frozenset((("circle", "yellow"), ("square", "purple"), ("triangle", "blue"), ("star", "green")))
SHAPE_SHARE, GROUND_SHARE = 0.35, 0.6  # of things that are shapes; of grounds that are not white
COUNTS = {"one": 1, "two": 2, "three": 3}
EDITS = {"replace": 20, "add": 20, "remove": 15, "move": 20, "recolour": 13, "ground": 12}
TASKS = (*(f"paint {name}" for name in COUNTS), *(f"edit {kind}" for kind in EDITS))


@dataclass(frozen=True, order=True)
class Thing:
    name: str
    colour: str | None = None  # of a shape

    def __str__(self) -> str:
        return f"{self.colour} {self.name}" if self.colour else self.name


THINGS: list[Thing] = [Thing(s, c) for s in SHAPES for c in COLOURS] + [Thing(name) for name in WORDS]


@dataclass(frozen=True)
class Scene:
    ground: str
    things: tuple[tuple[int, Thing], ...]  # (cell, thing), in order of cells

    @property
    def free(self) -> list[int]:
        return [c for c in range(CELLS * CELLS) if c not in {cell for cell, _ in self.things}]


def allowed(thing: Thing, others: list[Thing]) -> bool:
    """Whether training may show a thing beside others."""
    return (thing.name, thing.colour) not in HELD_OUT_SHAPES and not any(
        is_held_out_pair(thing.name, o.name) for o in others if not thing.colour and not o.colour)


def draw_thing(r: Random, others: list[Thing], held_out: bool = False) -> Thing:
    """A thing unlike the others; `held_out`: training's limits do not apply."""
    while True:
        thing = Thing(r.choice(SHAPES), r.choice(COLOURS)) if r.random() < SHAPE_SHARE else Thing(r.choice(WORDS))
        if thing not in others and (held_out or allowed(thing, others)):
            return thing


def is_held_out(scene: Scene) -> bool:
    things = [t for _, t in scene.things]
    return any(not allowed(t, things[:i]) for i, t in enumerate(things))


def draw_scene(r: Random, count: int, held_out: bool = False) -> Scene:
    """`held_out`: with two things or more, something that training never shows."""
    while True:
        things: list[Thing] = []
        while len(things) < count:
            things.append(draw_thing(r, things, held_out))
        ground = r.choice(list(GROUNDS)) if r.random() < GROUND_SHARE else "white"
        scene = Scene(ground, tuple(sorted(zip(r.sample(range(CELLS * CELLS), count), things))))
        if not held_out or count < 2 or is_held_out(scene):
            return scene


def caption(r: Random, scene: Scene) -> str:
    """A prompt for a scene, things in random order; white needs no word."""
    form = r.choices(("{a} {p}", "{a} in the {p}", "{p} {a}"), (60, 28, 12))[0]
    parts = [form.format(a=article(str(t)), p=PLACES[cell]) for cell, t in r.sample(scene.things, len(scene.things))]
    text = r.choices(("", "a picture with ", "a scene with "), (76, 14, 10))[0] + listed(parts)
    return text if scene.ground == "white" and r.random() < 0.85 else text + r.choice((" on {g}", " on {g}", " on a {g} background")).format(g=scene.ground)


def refer(r: Random, scene: Scene, thing: Thing) -> str:
    """ "the cat", "the red circle", or "the circle" where there is one."""
    alone = sum(t.name == thing.name for _, t in scene.things) == 1
    return f"the {thing.name if alone and r.random() < 0.5 else thing}"


def edit(r: Random, scene: Scene, kind: str, held_out: bool = False) -> tuple[str, Scene] | None:
    """An instruction of a kind and the scene that it leads to; None where the scene allows none."""
    things = [t for _, t in scene.things]
    if not things and kind not in ("add", "ground"):
        return None
    at = r.randrange(len(things)) if things else 0
    cell, thing = scene.things[at] if things else (0, THINGS[0])
    rest = scene.things[:at] + scene.things[at + 1 :]

    def with_thing(cell: int, thing: Thing) -> Scene:
        return replace(scene, things=tuple(sorted((*rest, (cell, thing)))))

    match kind:
        case "replace":
            new = draw_thing(r, things, held_out)
            form = r.choice(("Replace {o} with {a}", "Change {o} into {a}", "Turn {o} into {a}"))
            return form.format(o=refer(r, scene, thing), a=article(str(new))), with_thing(cell, new)
        case "add":
            if not scene.free or len(things) >= 3:
                return None
            new, place = draw_thing(r, things, held_out), r.choice(scene.free)
            form = r.choice(("Add {a} {p}", "Add {a} in the {p}", "Put {a} in the {p}", "Draw {a} {p}"))
            return form.format(a=article(str(new)), p=PLACES[place]), replace(scene, things=tuple(sorted((*scene.things, (place, new)))))
        case "remove":
            return r.choice(("Remove", "Delete", "Erase")) + " " + refer(r, scene, thing), replace(scene, things=rest)
        case "move":
            if not scene.free:
                return None
            place = r.choice(scene.free)
            form = r.choice(("Move {o} to the {p}", "Move {o} {p}", "Put {o} in the {p}"))
            return form.format(o=refer(r, scene, thing), p=PLACES[place]), with_thing(place, thing)
        case "recolour":
            colours = [c for c in COLOURS if Thing(thing.name, c) not in things and (held_out or (thing.name, c) not in HELD_OUT_SHAPES)]
            if thing.colour is None or not colours:
                return None
            colour = r.choice(colours)
            form = r.choice(("Make {o} {c}", "Change {o} to {c}", "Recolour {o} {c}", "Paint {o} {c}"))
            return form.format(o=refer(r, scene, thing), c=colour), with_thing(cell, Thing(thing.name, colour))
        case "ground":
            ground = r.choice([g for g in GROUNDS if g != scene.ground])
            form = r.choice(("Make the background {g}", "Change the ground to {g}", "Paint the background {g}"))
            return form.format(g=ground), replace(scene, ground=ground)
        case _:
            raise ValueError(f"no edit {kind!r}")


def draw_edit(r: Random, count: int) -> tuple[Scene, str, Scene]:
    """A training scene, an instruction, the result."""
    while True:
        scene = draw_scene(r, count)
        made = edit(r, scene, r.choices(list(EDITS), list(EDITS.values()))[0])
        if made:
            return scene, *made


def held_out_items(task: str, n: int, seed: int) -> list[tuple[str, Scene | None, Scene]]:
    """The first `n` items of one of TASKS, which do not depend on `n`: words, what is edited, what is expected. Edits: of scenes with one to three things, to which no fourth is added; what an edit brings in may be held out."""
    does, kind = task.split()
    r = Random(f"gallery/{seed}/{does}/{kind}")
    items: list[tuple[str, Scene | None, Scene]] = []
    while len(items) < n:
        scene = draw_scene(r, COUNTS[kind] if does == "paint" else 1 + len(items) % (2 if kind == "add" else 3), held_out=True)
        if does == "paint":
            items.append((caption(r, scene), None, scene))
        elif made := edit(r, scene, kind, held_out=True):
            items.append((made[0], scene, made[1]))
    return items
