"""Fit the row of the refusal's first token, so that the model refuses what a document does not say, and nothing else.

    python calibrate.py --model ../runs/reading.gguf --out ../../models/nano-text/nano-text.gguf

Where an answer begins, the model refuses when the logit of the refusal's first token is above all others. The output matrix is the
table of embeddings and has no bias; what is added to the token's row is found by logistic regression on the final states there, with
the margin that the model has already as offset and a penalty on the square of what is added, since the token is an input, too. Only
the kinds of documents that training sees are looked at, never a held-out fact: two thirds of the questions are fitted, the others
tell what comes of it, and then all are fitted.
"""

import argparse
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn import functional as F

from batches import Codec
from documents import ask_absent, make_document
from export import read, text_half, write
from model import Config, Nano, layers_of
from world import ABSENT

SEED = "calibration 2"
A_DOCUMENT, TOKENS = 4, 512
# name: (questions, share of fact sentences, of these everyday clauses, what the document does not say: a clause's part, a fact or nothing, weight)
KINDS = {
    "everyday": (450, 0.25, 0.6, "", 1.0), "everyday absent": (600, 0.25, 0.6, "clause", 0.7),
    "sparse": (150, 0.08, 0.0, "", 0.5), "sparse absent": (150, 0.08, 0.0, "fact", 0.5), "dense": (600, 1.0, 0.0, "", 1.5),
}
PENALTY = 1.0

Rows = dict[str, tuple[Tensor, Tensor]]  # by kind: margins (N,), final states (N, D)


def questions(r: Random, codec: Codec, density: float, clauses: float, absent: str):
    """Pairs of a document and a question, without end; none whose answer begins as the refusal does."""
    first = codec.answer(ABSENT)[0]
    while True:
        d = make_document(r, TOKENS, density, codec.count, clause_share=clauses)
        if absent == "clause":
            found = [(q, ABSENT) for q in d.unanswered]
        elif absent == "fact":
            found = [(ask_absent(r, d.facts), ABSENT) for _ in range(A_DOCUMENT - 1)]
        else:
            found = [asked for clause in d.more for asked in clause] if clauses else d.questions
        for question, answer in r.sample(found, min(A_DOCUMENT, len(found))):
            if absent or codec.answer(answer)[0] != first:
                yield d.text, question


@torch.no_grad()
def margins(model: Nano, codec: Codec) -> Rows:
    """How far the refusal's logit is above the largest other one where the answer begins, and the final state there."""
    r = Random(SEED)
    first = codec.answer(ABSENT)[0]
    rows: Rows = {}
    for name, (count, density, clauses, absent, _) in KINDS.items():
        some, states = [], []
        for _, (document, question) in zip(range(count), questions(r, codec, density, clauses, absent)):
            state = model(torch.tensor([codec.first_turn(document, question)]))[0, -1]
            logits = model.logits(state[None])[0]
            own = logits[first].item()
            logits[first] = -torch.inf
            some.append(own - logits.max().item())
            states.append(state)
        rows[name] = torch.tensor(some), torch.stack(states)
    return rows


def fit(rows: Rows) -> Tensor:
    """What is added to the row (D,)."""
    width = next(iter(rows.values()))[1].shape[1]
    added = torch.zeros(width, requires_grad=True)
    optimiser = torch.optim.LBFGS([added], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        total = PENALTY * added.square().sum()
        for name, (margin, states) in rows.items():
            *_, absent, weight = KINDS[name]
            total = total + weight * F.softplus((margin + states @ added) * (-1 if absent else 1)).mean()
        total.backward()
        return total

    optimiser.step(loss)
    return added.detach()


def refused(rows: Rows, added: Tensor) -> dict[str, float]:
    return {name: round((margin + states @ added > 0).float().mean().item(), 3) for name, (margin, states) in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True, help="a GGUF of the language model, written here")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    codec = Codec()
    state = text_half(read(args.model))
    config = Config(vocab_size=len(state["embed_tokens.weight"]), num_hidden_layers=layers_of(state, "layers."))
    model = Nano(config)
    model.load_state_dict(state)
    rows = margins(model.eval(), codec)
    g = torch.Generator().manual_seed(0)
    order = {name: torch.randperm(len(margin), generator=g) for name, (margin, _) in rows.items()}
    part = {name: 2 * len(some) // 3 for name, some in order.items()}
    seen = {name: (m[order[name][: part[name]]], s[order[name][: part[name]]]) for name, (m, s) in rows.items()}
    unseen = {name: (m[order[name][part[name] :]], s[order[name][part[name] :]]) for name, (m, s) in rows.items()}
    print("refused of what was not fitted, before:", refused(unseen, torch.zeros(config.hidden_size)))
    print("and with what the others give:", refused(unseen, fit(seen)))
    added = fit(rows)
    row = state["embed_tokens.weight"][codec.answer(ABSENT)[0]]
    print(f"added {added.norm():.3f} to a row of {row.norm():.3f}")
    row += added
    write(state, config, None, args.out)
    print(args.out, args.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
