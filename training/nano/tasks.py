"""Words for pictures: captions to paint, instructions with their results, questions with their answers.

Everything is drawn from a `Random`; nothing in training names or shows a held-out (shape, colour) pair.
"""

from random import Random

from english import HELD_OUT_WORDS, article, listed
from glyphs import GLYPHS
from scenes import WORLD, Object, Scene, World, draw_scene

COUNTS = ("zero", "one", "two", "three", "four")
ALIASES = {"northwest": "top left", "northeast": "top right", "southwest": "bottom left", "southeast": "bottom right"}
EMPTY = "nothing"
EDITS = {"recolour": 25, "remove": 20, "move": 30, "add": 25}
QUESTIONS = {"colour": 18, "shape": 18, "count": 16, "existence": 16, "position": 22, "describe": 20}
DESCRIBE = ["Describe the picture.", "Describe the image.", "What is in the picture?", "What does the picture show?"]
READ = ["What does it say?", "What does the picture say?", "Which word is in the picture?"]


def draw_word(r: Random) -> str:
    """Three or four random letters that are no held-out word."""
    while (word := "".join(r.choices(list(GLYPHS), k=r.choice((3, 4, 4))))) in HELD_OUT_WORDS:
        pass
    return word


class Words:
    """The language of one world. `aliases`: the share of captions and instructions that say "top left"."""

    def __init__(self, world: World = WORLD, aliases: float = 0.0):
        self.world = world
        self.aliases = aliases

    def name(self, o: Object) -> str:
        return f"{self.world.colour_names[o.colour]} {self.world.shapes[o.shape]}"

    def place(self, r: Random, cell: int) -> str:
        position = self.world.positions[cell]
        return ALIASES[position] if r.random() < self.aliases else position

    def describe(self, scene: Scene) -> str:
        """The caption that the model gives: objects in order of cells."""
        return listed([f"{article(self.name(o))} {self.world.positions[o.cell]}" for o in scene]) if scene else EMPTY

    def caption(self, r: Random, scene: Scene, bare: bool = False) -> str:
        """A prompt for a picture, objects in random order; `bare` leaves the places out."""
        form = r.choices(("{a} {p}", "{a} in the {p}", "{p} {a}"), (60, 28, 12))[0]
        order = r.sample(scene, len(scene))
        parts = [article(self.name(o)) if bare else form.format(a=article(self.name(o)), p=self.place(r, o.cell)) for o in order]
        return r.choices(("", "a picture with ", "a scene with "), (76, 14, 10))[0] + listed(parts)

    def refer(self, r: Random, scene: Scene, o: Object) -> str:
        """ "the red circle", or by one property where only this object has it."""
        shape, colour = self.world.shapes[o.shape], self.world.colour_names[o.colour]
        choices = [f"the {colour} {shape}"] * 3
        if sum(x.shape == o.shape for x in scene) == 1:
            choices += [f"the {shape}"] * 3
        if sum(x.colour == o.colour for x in scene) == 1:
            choices.append(f"the {colour} shape")
        return r.choice(choices)

    def edit(self, r: Random, scene: Scene, kind: str, held_out: bool = False) -> tuple[str, Scene] | None:
        """An instruction of a kind and the scene that it leads to; None where the scene has no room for one.

        `held_out`: the new object may be of a held-out pair (an addition or a new colour to be so when the
        source has none is the caller's to ask for, by drawing again).
        """
        world, kept = self.world, self.world.held_out_pairs
        taken = {o.pair for o in scene}
        free = [c for c in range(world.cells**2) if c not in {o.cell for o in scene}]
        if (kind == "add" and not free) or (kind == "move" and not (free and scene)) or not (scene or kind == "add"):
            return None
        o = r.choice(scene) if scene else Object(0, 0, 0)
        rest = tuple(x for x in scene if x is not o)
        match kind:
            case "recolour":
                pairs = [(o.shape, c) for c in range(len(world.colours)) if (o.shape, c) not in taken and (held_out or (o.shape, c) not in kept)]
                shape, colour = r.choice(pairs)
                form = r.choice(("Make {o} {c}", "Change {o} to {c}", "Recolour {o} {c}", "Paint {o} {c}"))
                return form.format(o=self.refer(r, scene, o), c=world.colour_names[colour]), tuple(sorted((*rest, Object(o.cell, shape, colour))))
            case "remove":
                ref = self.refer(r, scene, o) if r.random() < 0.85 else f"the shape in the {self.place(r, o.cell)}"
                return r.choice(("Remove", "Delete", "Erase")) + " " + ref, rest
            case "move":
                cell = r.choice(free)
                form = r.choice(("Move {o} to the {p}", "Move {o} {p}", "Put {o} in the {p}"))
                return form.format(o=self.refer(r, scene, o), p=self.place(r, cell)), tuple(sorted((*rest, Object(cell, o.shape, o.colour))))
            case "add":
                new = Object(r.choice(free), *r.choice([p for p in world.pairs if p not in taken and (held_out or p not in kept)]))
                form = r.choice(("Add {a} {p}", "Add {a} in the {p}", "Put {a} in the {p}", "Draw {a} {p}"))
                return form.format(a=article(self.name(new)), p=self.place(r, new.cell)), tuple(sorted((*scene, new)))
            case _:
                raise ValueError(f"no edit {kind!r}")

    def question(self, r: Random, scene: Scene, kind: str, about: Object | None = None, held_out: bool = False) -> tuple[str, str] | None:
        """A question of a kind and its answer; None where the scene allows none. `about`: the object asked for."""
        world = self.world
        colours, shapes = world.colour_names, world.shapes
        if not scene and kind not in ("count", "existence", "describe"):
            return None
        o = about or (r.choice(scene) if scene else None)
        match kind:
            case "colour":
                if sum(x.shape == o.shape for x in scene) == 1 and r.random() < 0.6:
                    return f"What colour is the {shapes[o.shape]}?", colours[o.colour]
                return r.choice(("What colour is the shape in the {p}?", "Which colour is in the {p}?")).format(p=world.positions[o.cell]), colours[o.colour]
            case "shape":
                if sum(x.colour == o.colour for x in scene) == 1 and r.random() < 0.6:
                    return r.choice(("What shape is {c}?", "Which shape is {c}?")).format(c=colours[o.colour]), shapes[o.shape]
                return r.choice(("What shape is in the {p}?", "Which shape is in the {p}?")).format(p=world.positions[o.cell]), shapes[o.shape]
            case "count":
                form = r.random()
                if form < 0.5:
                    return r.choice(("How many shapes are there?", "How many objects are in the picture?", "How many shapes are in the picture?")), COUNTS[len(scene)]
                if form < 0.75:
                    shape = r.choice(scene).shape if scene and r.random() < 0.7 else r.randrange(len(shapes))
                    return f"How many {shapes[shape]}s are there?", COUNTS[sum(x.shape == shape for x in scene)]
                colour = r.choice(scene).colour if scene and r.random() < 0.7 else r.randrange(len(colours))
                return f"How many {colours[colour]} shapes are there?", COUNTS[sum(x.colour == colour for x in scene)]
            case "existence":
                present = o is not None and r.random() < 0.5
                here = {x.pair for x in scene}
                if r.random() < 0.7:  # absent ones share a shape or a colour with the scene where they can
                    pairs = [p for p in world.pairs if p not in here and (held_out or p not in world.held_out_pairs)]
                    near = [p for p in pairs if any(p[0] == s or p[1] == c for s, c in here)]
                    pair = o.pair if present else r.choice(near or pairs)
                    thing = f"{colours[pair[1]]} {shapes[pair[0]]}"
                elif r.random() < 0.5:
                    absent = [s for s in range(len(shapes)) if s not in {x.shape for x in scene}]
                    present = present or not absent
                    thing = shapes[o.shape if present else r.choice(absent)]
                else:
                    thing = colours[o.colour if present else r.choice([c for c in range(len(colours)) if c not in {x.colour for x in scene}])] + " shape"
                return f"Is there {article(thing)}?", "yes" if present else "no"
            case "position":
                return f"Where is {self.refer(r, scene, o)}?", world.positions[o.cell]
            case "describe":
                return r.choice(DESCRIBE), self.describe(scene)
            case _:
                raise ValueError(f"no question {kind!r}")


def draw_edit(r: Random, words: Words, objects: int, kinds: dict[str, int] = EDITS) -> tuple[Scene, str, Scene]:
    """A training scene, an instruction, the result."""
    while True:
        scene = draw_scene(r, objects, words.world)
        made = words.edit(r, scene, r.choices(list(kinds), list(kinds.values()))[0])
        if made:
            return scene, *made
