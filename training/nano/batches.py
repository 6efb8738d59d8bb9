"""Token sequences for training: a document, then a ChatML turn for each of its facts.

Every batch is a function of (seed, step, progress): nothing about the data needs to be saved to resume.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor

import world
from documents import Document, Fact, ask_absent, ask_both, follow_clause, follow_up, make_document

TOKENIZER = Path(__file__).parents[2] / "models/nano-text/tokenizer.json"  # of the language half alone; vocabulary.py extends it
TOKENS_A_STEP = 10240

# From this share of the run on: {row length: weight}. Lengths advance by schedule, not by threshold.
LENGTHS = [
    (0.00, {128: 3, 256: 3}),
    (0.12, {256: 3, 512: 2}),
    (0.25, {256: 1, 512: 3, 1024: 1}),
    (0.40, {512: 2, 1024: 3}),
    (0.55, {512: 1, 1024: 2, 2560: 2}),
]
# {density of facts: (weight, share of the row that is document)}
DENSITIES = {0.08: (3, 0.82), 0.25: (2, 0.62), 1.0: (4, 0.48)}
ABSENT_FROM, ABSENT_SHARE = 0.3, 0.07


class Codec:
    """Text to ids and back, with the chat frame of nano."""

    def __init__(self, path: Path = TOKENIZER):
        self.use(Tokenizer.from_file(str(path)))

    @classmethod
    def beside(cls, weights: Path) -> "Codec":
        """By the tokenizer.json beside a file of weights, else by the committed one."""
        own = weights.with_name("tokenizer.json")
        return cls(own if own.exists() else TOKENIZER)

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Codec":
        codec = cls.__new__(cls)
        codec.use(tokenizer)
        return codec

    def use(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.end = self.tokenizer.token_to_id("<|im_end|>")
        self.pad = self.tokenizer.token_to_id("<|endoftext|>")
        self.count = lru_cache(200_000)(lambda text: len(self.tokenizer.encode(text).ids))

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).ids

    def first_turn(self, document: str, question: str) -> list[int]:
        """The prompt that the chat template makes of a document and a question about it."""
        return self.ids(f"<|im_start|>user\n{document}\n\n{question}<|im_end|>\n<|im_start|>assistant\n")

    def next_turn(self, question: str) -> list[int]:
        return self.ids(f"\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n")

    def answer(self, text: str) -> list[int]:
        """Answers start with a space, so that they are the very tokens of the document."""
        return self.ids(" " + text) + [self.end]


@dataclass(frozen=True)
class Batch:
    ids: Tensor  # (B, T) int64
    answers: Tensor  # (A,) flat positions whose next token is part of an answer
    text: Tensor  # (M,) a sample of the other positions, for a small language-model loss


Asked = tuple[Fact | int, tuple[str, str]]  # what a question is about, a fact or a clause by its number, and the question with its answer


def sequence(r: Random, codec: Codec, document: Document, length: int, absent: float, linked: float = 0.0) -> tuple[list[int], list[int]]:
    """Ids of at most `length`, and the positions that predict an answer token.

    `absent`: share of questions that the document does not answer; `linked`: of those about two facts, and as often of those
    that follow up the question before.
    """
    left: list[Asked] = [*zip(document.facts, document.questions, strict=True), *((i, asked) for i, clause in enumerate(document.more) for asked in clause)]
    r.shuffle(left)
    ids: list[int] = []
    predicts: list[int] = []
    before: Asked | None = None
    while left:
        if r.random() < absent:
            missing = bool(document.unanswered) and r.random() < 0.5
            question, answer = r.choice(document.unanswered) if missing else ask_absent(r, document.facts), world.ABSENT
            before = None
        elif linked and len(left) > 1 and r.random() < linked:
            (_, first), (_, second) = left.pop(), left.pop()
            question, answer = ask_both(first, second)
            before = None
        elif linked and before and r.random() < 2 * linked and (found := followed(r, before, left)):
            question, before, answer = found
        else:
            before = left.pop()
            question, answer = before[1]
        prompt = codec.next_turn(question) if ids else codec.first_turn(document.text, question)
        reply = codec.answer(answer)
        if len(ids) + len(prompt) + len(reply) > length:
            break
        start = len(ids) + len(prompt) - 1
        predicts += range(start, start + len(reply))
        ids += prompt + reply
    return ids, predicts


def followed(r: Random, before: Asked, left: list[Asked]) -> tuple[str, Asked, str] | None:
    """A follow-up to the question `before`, taken out of what is left to ask: the question, what it stands for, its answer."""
    about, (asked, _) = before
    for i, (subject, (question, answer)) in enumerate(left):
        found = None
        if isinstance(about, Fact) and isinstance(subject, Fact):
            found = follow_up(r, about, subject)
        elif subject == about:
            found = follow_clause(r, asked, question)
        if found:
            return found, left.pop(i), answer
    return None


def lengths_at(progress: float) -> dict[int, int]:
    return [table for start, table in LENGTHS if progress >= start][-1]


def make_batch(codec: Codec, seed: int, step: int, progress: float, absent: float = ABSENT_SHARE, linked: float = 0.0, clause_share: float = 0.0, plain: float = 0.0, lengths: dict[int, int] | None = None) -> Batch:
    """The batch of a step; `progress` in [0, 1] sets lengths, unless `lengths` gives them, and whether absent facts are asked. Shares as `sequence` and
    `make_document` have them; a share `plain` of the documents has no clauses, so that what was learnt before clauses came is kept up."""
    r = Random(f"{seed}/{step}")
    table = lengths or lengths_at(progress)
    length = r.choices(list(table), list(table.values()))[0]
    rows = TOKENS_A_STEP // length
    ids = torch.full((rows, length), codec.pad)
    answers: list[int] = []
    text: list[int] = []
    for row in range(rows):
        density = r.choices(list(DENSITIES), [weight for weight, _ in DENSITIES.values()])[0]
        if length <= 256 and density < 0.2:
            density = 0.25
        share = DENSITIES[density][1] * r.uniform(0.85, 1.1)
        predicts: list[int] = []
        while not predicts:  # a first question that does not fit is drawn again
            clauses = 0.0 if r.random() < plain else clause_share
            document = make_document(r, int(length * share), density, codec.count, clause_share=clauses)
            line, predicts = sequence(r, codec, document, length, absent if progress >= ABSENT_FROM else 0, linked)
        ids[row, : len(line)] = torch.tensor(line)
        answers += [row * length + p for p in predicts]
        others = sorted(set(range(len(line) - 1)) - set(predicts))
        text += [row * length + p for p in r.sample(others, len(others) // 12)]
    return Batch(ids, torch.tensor(answers), torch.tensor(text))
