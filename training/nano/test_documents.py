"""python3 -m unittest test_documents: facts of training are not held out, and questions about several facts. Needs no package."""

import unittest
from random import Random

import documents
import statements
from documents import Document, Fact, is_held_out


def draw(seed: int, held_out: bool = False, clause_share: float = 0.0) -> Document:
    return documents.make_document(Random(seed), 300, 1.0, lambda text: len(text) // 4, held_out, clause_share)


class Documents(unittest.TestCase):
    def test_facts_are_of_their_split_and_stated(self):
        for seed in range(40):
            for held_out in (False, True):
                d = draw(seed, held_out)
                self.assertEqual(len(d.facts), len(d.questions))
                for f in d.facts:
                    self.assertEqual(is_held_out(f.kind, f.entity, f.attribute, f.value), held_out)
                    self.assertIn(f.value, d.text)

    def test_two_facts_in_one_question(self):
        for seed in range(40):
            r, d = Random(seed), draw(seed)
            first, second = r.sample(d.facts, 2)
            asked = [(documents.ask(r, f), f.value) for f in (first, second)]
            question, answer = documents.ask_both(*asked)
            self.assertEqual(answer, f"{first.value} and {second.value}")
            self.assertTrue(question.endswith("?"))
            self.assertEqual(question.count("?"), 1)
            for fact in (first, second):
                self.assertIn(documents.bare(fact.entity), question)

    def test_follow_ups_need_the_question_before(self):
        kinds = set()
        for seed in range(60):
            r, d = Random(seed), draw(seed)
            for before in d.facts:
                for fact in d.facts:
                    question = documents.follow_up(r, before, fact)
                    if question is None:
                        continue
                    self.assertIsNot(fact, before)
                    self.assertNotIn("{", question)
                    if "hat about" in question or question == f"And {fact.entity}?":
                        kinds.add("another entity")
                        self.assertEqual((fact.kind, fact.attribute), (before.kind, before.attribute))
                        self.assertIn(fact.entity, question)
                    else:
                        kinds.add("pronoun")
                        self.assertEqual(fact.entity, before.entity)
                        self.assertNotIn(fact.entity, question)
                        self.assertRegex(question, r"\b(she|he|it|her|his|its)\b")
        self.assertEqual(kinds, {"another entity", "pronoun"})

    def test_unlike_facts_have_no_follow_up(self):
        one, other = Fact("person", "Anna", "job", "baker"), Fact("person", "Ben", "home", "Oslo")
        self.assertIsNone(documents.follow_up(Random(1), one, other))
        self.assertIsNone(documents.follow_up(Random(1), one, one))


class Clauses(unittest.TestCase):
    def test_answers_stand_in_their_sentence(self):
        r = Random(4)
        for _ in range(3000):
            s = statements.statement(r)
            self.assertTrue(s.questions, s.text)
            self.assertRegex(s.text, r"^[A-Z0-9].*[.!]$")
            for question, answer in s.questions:
                self.assertIn(answer.lower(), s.text.lower(), question)
                self.assertRegex(question, r"^[A-Z][^{}]*\?$")
            for question in s.unanswered:
                self.assertNotIn(question, [asked for asked, _ in s.questions])

    def test_no_two_clauses_of_a_document_are_about_one_thing(self):
        r, taken = Random(5), set()
        for _ in range(60):
            before = set(taken)
            self.assertFalse(before & documents.make_statement(r, False, taken).marks)
            self.assertGreater(taken, before)

    def test_documents_hold_clauses_of_their_split(self):
        for held_out in (False, True):
            d = draw(6, held_out, 0.6)
            self.assertTrue(d.facts and d.more and d.unanswered)
            for asked in d.more:
                for _, answer in asked:
                    self.assertIn(answer.lower(), d.text.lower())
        r = Random(7)
        for held_out in (False, True):
            s = documents.make_statement(r, held_out, set())
            self.assertEqual(is_held_out("clause", s.text, "", ""), held_out)

    def test_what_follows_up_a_clause(self):
        found = {documents.follow_clause(Random(i), "Who sold the vase?", "Where was the vase sold?") for i in range(20)}
        self.assertEqual(found, {"And where?", None})
        self.assertIsNone(documents.follow_clause(Random(1), "Where was it?", "Where did she go?"))
        self.assertIsNone(documents.follow_clause(Random(1), "Who sold it?", "What colour is it?"))


if __name__ == "__main__":
    unittest.main()
