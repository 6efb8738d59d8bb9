"""python3 -m unittest test_collage: what is held out of the training of seeing and painting never leaks into it. Needs no package."""

import unittest
from random import Random

import collage
import drawings
import gallery
from collage import HELD_OUT_SHAPES, PLACES, SHAPE_HAND
from drawings import HELD_OUT_HAND, WORDS, Drawing, Library, is_held_out_drawing, is_held_out_pair
from english import PLURALS

HANDS = ("fluent", "noto", "noto-v1", "emojione", HELD_OUT_HAND)
LIBRARY = Library([Drawing(name, hand, "red") for name in WORDS for hand in HANDS])


def draw(split: str, count: int, seed: int) -> collage.Collage:
    return collage.draw_collage(Random(f"{split}/{count}/{seed}"), LIBRARY, count, split)


class Splits(unittest.TestCase):
    def test_a_judge_learns_every_drawing_but_those_of_the_hands_it_judges(self):
        left = LIBRARY.without({gallery.HAND, "noto"})
        self.assertEqual(set(left), set(WORDS))
        for name, found in left.items():
            self.assertEqual(sorted(d.hand for d in found), sorted({*HANDS} - {gallery.HAND, "noto"}), name)

    def test_every_name_is_taught_and_no_drawing_is_in_two_splits(self):
        self.assertEqual(set(LIBRARY.training), set(WORDS))
        seen = [d for split in (LIBRARY.training, LIBRARY.held_out, LIBRARY.other_hand) for found in split.values() for d in found]
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual(len(seen), len(WORDS) * len(HANDS))

    def test_about_a_sixth_is_held_out(self):
        known = [Drawing(name, hand) for name in WORDS for hand in HANDS[:-1]]
        self.assertAlmostEqual(sum(map(is_held_out_drawing, known)) / len(known), 1 / 6, delta=0.03)
        pairs = [(a, b) for a in WORDS for b in WORDS if a < b]
        self.assertAlmostEqual(sum(is_held_out_pair(a, b) for a, b in pairs) / len(pairs), 1 / 6, delta=0.01)

    def test_a_name_with_one_drawing_is_taught_by_it(self):
        name = next(n for n in WORDS if is_held_out_drawing(Drawing(n, "noto")))
        alone = Library([Drawing(name, "noto"), Drawing(name, HELD_OUT_HAND)])
        self.assertEqual([d.hand for d in alone.training[name]], ["noto"])
        self.assertEqual([d.hand for d in alone.other_hand[name]], [HELD_OUT_HAND])
        self.assertEqual(alone.held_out, {})

    def test_training_pictures_have_nothing_that_is_held_out(self):
        taught = {d for found in LIBRARY.training.values() for d in found}
        for count in range(1, 7):
            for seed in range(150):
                c = draw("training", count, seed)
                self.assertEqual(len(c.items), count)
                for i in c.items:
                    if i.drawing.hand == SHAPE_HAND:
                        self.assertNotIn((i.name, i.drawing.colour), HELD_OUT_SHAPES)
                    else:
                        self.assertIn(i.drawing, taught)
                things = [i.name for i in c.items if i.drawing.hand != SHAPE_HAND]
                self.assertFalse(any(is_held_out_pair(a, b) for a in things for b in things))
                if c.text is not None:
                    self.assertFalse(collage.is_held_out_text(c.text.text))

    def test_test_pictures_are_held_out(self):
        for split in ("held_out", "other_hand"):
            for count in range(1, 7):
                for seed in range(30):
                    c = draw(split, count, seed)
                    self.assertFalse({i.drawing for i in c.items} & {d for found in LIBRARY.training.values() for d in found})
                    if c.text is not None:
                        self.assertTrue(collage.is_held_out_text(c.text.text))

    def test_printed_texts_have_nothing_that_is_held_out(self):
        counts = set()
        for seed in range(200):
            texts = collage.draw_texts(Random(seed))
            counts.add(len(texts))
            self.assertFalse(any(collage.is_held_out_text(t.text) for t in texts))
            dots = [(x, y) for t in texts for x in range(t.x, t.x + t.width) for y in range(t.y, t.y + t.height)]
            self.assertEqual(len(dots), len(set(dots)), "one covers another")
            self.assertTrue(all(0 <= x < collage.SIZE and 0 <= y < collage.SIZE for x, y in dots))
        self.assertGreater(max(counts), 3)

    def test_only_training_varies_its_drawings(self):
        varied = {split: [i.variation is not None for seed in range(60) for i in draw(split, 4, seed).items if i.drawing.hand != SHAPE_HAND] for split in ("training", "held_out", "other_hand")}
        self.assertAlmostEqual(sum(varied["training"]) / len(varied["training"]), collage.VARIED_SHARE, delta=0.1)
        self.assertFalse(any(varied["held_out"] + varied["other_hand"]))


class Pictures(unittest.TestCase):
    def test_the_same_seed_gives_the_same_picture(self):
        self.assertEqual(draw("training", 5, 3), draw("training", 5, 3))
        self.assertNotEqual(draw("training", 5, 3), draw("training", 5, 4))

    def test_items_lie_within_the_picture_and_in_cells_of_their_own(self):
        for seed in range(200):
            c = draw("training", 1 + seed % 6, seed)
            self.assertEqual(len({i.cell for i in c.items}), len(c.items))
            for i in c.items:
                for at in (i.x, i.y):
                    self.assertTrue(i.side // 2 <= at and at - i.side // 2 + i.side <= collage.SIZE)

    def test_answers_follow_from_the_picture(self):
        asked = set()
        for seed in range(400):
            c = draw("training", 1 + seed % 6, seed)
            r = Random(seed)
            names = [i.name for i in c.items]
            at = {PLACES[i.cell]: i for i in c.items}
            for kind in (*collage.QUESTIONS, "read"):
                made = collage.question(r, c, kind)
                if made is None:
                    continue
                asked.add(kind)
                question, answer = made
                if kind == "what":
                    place = next(p for p in sorted(PLACES, key=len, reverse=True) if p in question)
                    self.assertEqual(answer, collage.full_name(at[place]))
                elif kind == "where":
                    self.assertIn(at[answer].name, question)
                elif kind == "count" and ("things" in question or "objects" in question):
                    self.assertEqual(answer, collage.COUNTS[len(names)])
                elif kind == "exists":
                    self.assertEqual(answer == "yes", any(f" {n}?" in question or f" {n} in" in question for n in names))
                elif kind == "beside" and answer not in ("yes", "no"):
                    self.assertIn(answer, names)
                elif kind == "read":
                    self.assertEqual(answer, c.text.text)
        self.assertEqual(asked, {*collage.QUESTIONS, "read"})

    def test_what_cannot_be_read_is_not_asked(self):
        printed = [c for c in (draw("training", 2, seed) for seed in range(100)) if c.text is not None]
        self.assertGreater(len(printed), 5)
        for c in printed:
            for legible in (True, False):
                asked = collage.draw_questions(Random(1), c, 6, legible)
                self.assertEqual(any(answer == c.text.text for _, answer in asked), legible)

    def test_beside_is_true(self):
        for seed in range(300):
            c = draw("training", 2 + seed % 5, seed)
            made = collage.question(Random(seed), c, "beside")
            if made is None or made[1] not in ("yes", "no"):
                continue
            question, answer = made
            words = question.rstrip("?")
            side = next(s for s in (" left of the ", " right of the ", " above the ", " below the ") if s in words)
            one, other = words.split(" the ", 1)[1].split(side)
            a, b = (next(i for i in c.items if i.name == n) for n in (one, other))
            dx, dy = a.cell % 3 - b.cell % 3, a.cell // 3 - b.cell // 3
            truth = {" left of the ": dx < 0, " right of the ": dx > 0, " above the ": dy < 0, " below the ": dy > 0}[side]
            self.assertEqual(answer == "yes", truth, question)

    def test_english(self):
        self.assertTrue(PLURALS <= set(WORDS))
        self.assertEqual(collage.plural("bus"), "buses")
        self.assertEqual(collage.plural("scissors"), "scissors")
        self.assertEqual(collage.article("unicorn"), "a unicorn")
        self.assertEqual(collage.article("jeans"), "some jeans")
        self.assertEqual(len(drawings.CATEGORY), sum(map(len, drawings.NAMES.values())), "a name in two categories")


class Gallery(unittest.TestCase):
    def held_out(self, *scenes: gallery.Scene) -> bool:
        """Whether scenes show a held-out shape, or together a held-out pair of names."""
        things = {t for s in scenes for _, t in s.things}
        names = {t.name for t in things if not t.colour}
        return any((t.name, t.colour) in gallery.HELD_OUT_SHAPES for t in things) or any(is_held_out_pair(a, b) for a in names for b in names)

    def test_training_scenes_and_edits_have_nothing_that_is_held_out(self):
        for seed in range(400):
            r = Random(seed)
            self.assertFalse(self.held_out(gallery.draw_scene(r, 1 + seed % 3)))
            source, _, result = gallery.draw_edit(r, 1 + seed % 3)
            self.assertFalse(self.held_out(source, result))

    def test_held_out_scenes_are(self):
        for seed in range(100):
            self.assertTrue(self.held_out(gallery.draw_scene(Random(seed), 2 + seed % 2, held_out=True)))

    def test_held_out_items_of_every_task(self):
        for task in gallery.TASKS:
            items = gallery.held_out_items(task, 12, 7)
            self.assertEqual(items[:5], gallery.held_out_items(task, 5, 7))
            for words, source, result in items:
                self.assertEqual(source is None, task.startswith("paint"))
                self.assertNotEqual(source, result)
                self.assertLessEqual(len(result.things), 3)

    def test_captions_name_all_that_is_shown(self):
        for seed in range(200):
            r = Random(seed)
            scene = gallery.draw_scene(r, 1 + seed % 3)
            text = gallery.caption(r, scene)
            for cell, thing in scene.things:
                self.assertIn(collage.article(str(thing)), text)
                self.assertIn(gallery.PLACES[cell], text)
            if scene.ground != "white":
                self.assertIn(scene.ground, text.rsplit(" on ", 1)[1])

    def test_edits_change_one_thing(self):
        kinds = set()
        for seed in range(600):
            r = Random(seed)
            kind = list(gallery.EDITS)[seed % len(gallery.EDITS)]
            scene = gallery.draw_scene(r, 1 + seed % 3)
            made = gallery.edit(r, scene, kind)
            if made is None:
                continue
            kinds.add(kind)
            text, result = made
            before, after = dict(scene.things), dict(result.things)
            changed = {c for c in {*before, *after} if before.get(c) != after.get(c)}
            self.assertEqual(result.ground != scene.ground, kind == "ground")
            self.assertEqual(len(changed), {"ground": 0, "move": 2}.get(kind, 1), text)
            self.assertEqual(len(after) - len(before), {"add": 1, "remove": -1}.get(kind, 0))
        self.assertEqual(kinds, set(gallery.EDITS))


if __name__ == "__main__":
    unittest.main()
