"""Documents of the world: facts in plain English among filler, with a question for every fact."""

import zlib
from dataclasses import dataclass
from random import Random
from typing import Callable

import statements
import words as w
import world
from filler import sentence as filler_sentence
from filler import up

LEADS = ["According to the notes, ", "By the way, ", "It is known that ", "Remember that ", "As everyone knows, ", "In fact, ", "The register says that ", "Please note that ", "I am told that ", "Also, "]
TITLES = ["Notes", "A report", "From the diary", "The village paper", "Letter from {town}", "News of {month}", "Minutes of the meeting", "A record of {town}"]
ASKS = ["According to the text, ", "Can you tell me: ", "Please tell me: ", "In the document, ", "I would like to know: "]

HELD_OUT = 10  # one fact in ten, by hash, is never trained on


@dataclass(frozen=True)
class Fact:
    kind: str
    entity: str
    attribute: str
    value: str


@dataclass(frozen=True)
class Document:
    text: str
    facts: list[Fact]
    questions: list[tuple[str, str]]  # (question, answer), one for every fact, in order of appearance
    more: list[list[tuple[str, str]]]  # the same of each clause (statements.py)
    unanswered: list[str]  # questions about its clauses that it does not answer


def is_held_out(kind: str, entity: str, attribute: str, value: str) -> bool:
    """The split of entity-value combinations: a hash of the fact, independent of any seed."""
    return zlib.crc32(f"{kind}|{entity}|{attribute}|{value}".encode()) % HELD_OUT == 0


def bare(entity: str) -> str:
    """An entity without its article or "my", which a question may change."""
    first, _, rest = entity.partition(" ")
    return rest if first in ("the", "my", "our") else entity


def make_facts(r: Random, count: int, held_out: bool) -> list[Fact]:
    """`count` facts about several entities; kinds repeat, so that facts compete in entity and in attribute."""
    kinds = list(world.KINDS)
    some = r.choices(kinds, [world.KINDS[k].weight for k in kinds], k=r.choice((2, 3, 4, 6)))
    facts: list[Fact] = []
    taken: set[str] = set()
    while len(facts) < count:
        name = r.choice(some) if r.random() < 0.8 else r.choices(kinds, [world.KINDS[k].weight for k in kinds])[0]
        kind = world.KINDS[name]
        entity = kind.name(r)
        marks = set(entity.split()) if name == "person" else {bare(entity)}
        if taken & marks:
            continue
        taken |= marks
        wanted = min(r.choice((1, 1, 2, 2, 3, 4)), len(kind.attributes), count - len(facts))
        for attribute in r.sample(list(kind.attributes), wanted):
            for _ in range(400):
                value = kind.attributes[attribute].value(r)
                if is_held_out(name, entity, attribute, value) == held_out and value != entity:
                    facts.append(Fact(name, entity, attribute, value))
                    break
    return facts


def pronoun_of(fact: Fact) -> str | None:
    if fact.kind != "person":
        return world.KINDS[fact.kind].pronoun
    first = fact.entity.split()[0]
    return "She" if first in w.FEMALE else "He" if first in w.MALE else None


def state(r: Random, fact: Fact) -> str:
    """One sentence that states one fact."""
    a = world.KINDS[fact.kind].attributes[fact.attribute]
    options = [f"{{e}} {p}." for p in a.phrases] + list(a.sentences)
    text = r.choice(options).format(e=fact.entity, v=fact.value)
    return r.choice(LEADS) + text if r.random() < 0.1 and text.startswith(fact.entity) else up(text)


def state_pair(r: Random, first: Fact, second: Fact) -> str:
    """Two facts about one entity, joined by "and" or by a pronoun."""
    a = world.KINDS[first.kind].attributes[first.attribute]
    b = world.KINDS[second.kind].attributes[second.attribute]
    if not b.phrases:
        return state(r, first) + " " + state(r, second)
    pronoun = pronoun_of(first)
    if pronoun and (r.random() < 0.4 or not a.phrases):
        return f"{state(r, first)} {pronoun} {r.choice(b.phrases).format(v=second.value)}."
    if not a.phrases:
        return state(r, first) + " " + state(r, second)
    return up(f"{first.entity} {r.choice(a.phrases).format(v=first.value)} and {r.choice(b.phrases).format(v=second.value)}.")


def ask(r: Random, fact: Fact) -> str:
    a = world.KINDS[fact.kind].attributes[fact.attribute]
    entity = fact.entity
    if entity.startswith(("my ", "our ")) and r.random() < 0.4:
        entity = "the " + bare(entity)
    question = r.choice(a.questions).format(e=entity)
    if r.random() < 0.1:
        question = r.choice(ASKS) + question[0].lower() + question[1:]
    if r.random() < 0.04:
        question = question.rstrip("?")
    return question


POSSESSIVES = {"She": "her", "He": "his", "It": "its"}
SUBJECT_AFTER = ("does", "did", "is", "was", "has", "can", "will")


def ask_both(first: tuple[str, str], second: tuple[str, str]) -> tuple[str, str]:
    """Two questions in one, and both answers in its order: "Where does Anna live and how old is Ben?"."""
    one, other = first[0].rstrip("?"), second[0].rstrip("?")
    return f"{one} and {other[0].lower()}{other[1:]}?", f"{first[1]} and {second[1]}"


def follow_up(r: Random, before: Fact, fact: Fact) -> str | None:
    """A question about a fact that is understood only after one about `before`: of the same entity by a pronoun, or the same attribute of
    another entity by "What about"; None where the two have neither in common."""
    if fact.kind == before.kind and fact.attribute == before.attribute and fact.entity != before.entity:
        return r.choice(("What about {e}?", "And {e}?", "And what about {e}?")).format(e=fact.entity)
    pronoun = pronoun_of(fact)
    if fact.entity != before.entity or fact.attribute == before.attribute or pronoun is None:
        return None
    forms = []
    for question in world.KINDS[fact.kind].attributes[fact.attribute].questions:
        words = question.split(" ")
        at = next(i for i, word in enumerate(words) if "{e}" in word)
        if words[at].startswith("{e}'s"):
            forms.append(question.replace("{e}'s", POSSESSIVES[pronoun]))
        elif at > 0 and words[at - 1].lower() in SUBJECT_AFTER:
            forms.append(question.replace("{e}", pronoun.lower()))
    if not forms:
        return None
    question = r.choice(forms)
    return f"And {question[0].lower()}{question[1:]}" if r.random() < 0.4 else question


def follow_clause(r: Random, before: str, question: str) -> str | None:
    """`question` as one that follows up the question `before` about the same clause; None where it would be the same word again."""
    found = statements.short(question)
    return None if found is None or found == statements.short(before) or r.random() < 0.2 else found


def ask_absent(r: Random, facts: list[Fact]) -> str:
    """A question about a known entity's unstated attribute, or about an unknown entity."""
    stated = {(bare(f.entity), f.attribute) for f in facts}
    names = {bare(f.entity) for f in facts}
    while True:
        if facts and r.random() < 0.5:
            f = r.choice(facts)
            kind, entity = f.kind, f.entity
        else:
            kind = r.choice(facts).kind if facts and r.random() < 0.7 else r.choice(list(world.KINDS))
            entity = world.KINDS[kind].name(r)
            if bare(entity) in names:
                continue
        attribute = r.choice(list(world.KINDS[kind].attributes))
        if (bare(entity), attribute) not in stated:
            return ask(r, Fact(kind, entity, attribute, ""))


def make_statement(r: Random, held_out: bool, taken: set[str]) -> statements.Statement:
    """A statement of the split that is about nothing in `taken`, to which it is added."""
    while True:
        statement = statements.statement(r)
        if is_held_out("clause", statement.text, "", "") == held_out and not taken & statement.marks:
            taken |= statement.marks
            return statement


def make_document(r: Random, tokens: int, density: float, count: Callable[[str], int], held_out: bool = False, clause_share: float = 0.0) -> Document:
    """A document of at most `tokens` tokens of which a share `density` is facts, of these `clause_share` everyday clauses.

    `count` gives the tokens of a sentence. Sparse documents (density below 1) have at least one fact.
    """
    estimate = max(1, round(tokens * density / 11.5))
    facts = make_facts(r, estimate + 2, held_out)
    groups: list[list[Fact]] = []
    i = 0
    while i < len(facts):
        pair = i + 1 < len(facts) and facts[i].entity == facts[i + 1].entity and r.random() < 0.3
        groups.append(facts[i : i + 2] if pair else [facts[i]])
        i += 2 if pair else 1
    if r.random() < 0.7:
        r.shuffle(groups)
    names = [f.entity for f in facts if f.kind == "person"]
    title = r.choice(TITLES).format(town=r.choice(w.TOWNS), month=r.choice(w.MONTHS)) + "\n\n" if r.random() < 0.25 else ""
    budget = tokens - (count(title) if title else 0)

    # Facts first, until their share of the length is used; then filler, until the length is.
    items: list[tuple[str, list[Fact]]] = []
    told: list[statements.Statement] = []
    taken: set[str] = set()
    used = 0
    while groups:
        if clause_share and r.random() < clause_share:
            statement = make_statement(r, held_out, taken)
            text, group = statement.text, []
        else:
            statement, group = None, groups.pop(0)
            text = state(r, group[0]) if len(group) == 1 else state_pair(r, *group)
        size = count(" " + text)
        if used + size > max(budget * density, 0 if items else budget):
            break
        items.append((text, group))
        used += size
        if statement:
            told.append(statement)
    filler: list[str] = []
    if density < 1:
        while True:
            text = filler_sentence(r, names)
            size = count(" " + text)
            if used + size > budget:
                break
            filler.append(text)
            used += size
    slots = sorted(r.sample(range(len(items) + len(filler)), len(items)))
    order: list[tuple[str, list[Fact]]] = [(text, []) for text in filler]
    for slot, item in zip(slots, items):
        order.insert(slot, item)

    per_paragraph = r.choice((3, 5, 8, 1000))
    text = title
    for n, (part, _) in enumerate(order):
        text += ("" if n == 0 else "\n\n" if n % per_paragraph == 0 else " ") + part
    stated = [f for _, group in order for f in group]
    asked = [(ask(r, f), f.value) for f in stated]
    return Document(text, stated, asked, [leaf.questions for s in told for leaf in s.leaves or (s,)], [q for s in told for q in s.unanswered])
