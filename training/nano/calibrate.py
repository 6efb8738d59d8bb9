"""Give the first token of the refusal a constant advantage over all others where an answer begins, and print what that changes.

    python calibrate.py --model ../runs/reading.gguf --out ../../models/nano-text/nano-text.gguf --bias 0.5

The trained model refuses less of what a document does not say than it could for the false refusals that are allowed. The output
matrix is the table of embeddings and has no bias, so the token's row moves along the mean of the final states at the beginnings of
answers: their product with it grows by `bias` in the mean (and by .8 to 1.2 of it, one deviation). The token is an input, too, of
which the change is a hundredth. Only the kinds of documents that training sees are looked at, never a held-out fact.
"""

import argparse
from pathlib import Path
from random import Random

import torch

from batches import Codec
from documents import ask_absent, make_document
from export import read, text_half, write
from model import Config, Nano, layers_of
from world import ABSENT

SEED = "calibration 1"
QUESTIONS, A_DOCUMENT, TOKENS = 150, 3, 512
BIASES = (0, 0.25, 0.5, 1, 1.5, 2, 3)
# name: (share of fact sentences, of these everyday clauses, what the document does not say: a clause's part, a fact, or nothing)
KINDS = {
    "everyday": (0.25, 0.6, ""), "everyday absent": (0.25, 0.6, "clause"),
    "sparse": (0.08, 0.0, ""), "sparse absent": (0.08, 0.0, "fact"), "dense": (1.0, 0.0, ""),
}


def questions(r: Random, codec: Codec, density: float, clauses: float, absent: str):
    """Pairs of a document and a question, without end."""
    while True:
        d = make_document(r, TOKENS, density, codec.count, clause_share=clauses)
        if absent == "clause":
            found = d.unanswered
        elif absent == "fact":
            found = [ask_absent(r, d.facts) for _ in range(A_DOCUMENT)]
        else:
            found = [q for q, _ in ([asked for clause in d.more for asked in clause] if clauses else d.questions)]
        for question in r.sample(found, min(A_DOCUMENT, len(found))):
            yield d.text, question


@torch.no_grad()
def margins(model: Nano, codec: Codec, first: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """By kind, how far the logit of `first` is above the largest other one where the answer begins; and the mean final state there."""
    r = Random(SEED)
    found: dict[str, torch.Tensor] = {}
    states = []
    for name, kind in KINDS.items():
        some = []
        for _, (document, question) in zip(range(QUESTIONS), questions(r, codec, *kind)):
            state = model(torch.tensor([codec.first_turn(document, question)]))[0, -1]
            logits = model.logits(state[None])[0]
            own = logits[first].item()
            logits[first] = -torch.inf
            some.append(own - logits.max().item())
            states.append(state)
        found[name] = torch.tensor(some)
    return found, torch.stack(states).mean(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True, help="a GGUF of the language model, written here")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bias", type=float, required=True, help="in units of the logits")
    args = parser.parse_args()
    codec = Codec()
    state = text_half(read(args.model))
    config = Config(vocab_size=len(state["embed_tokens.weight"]), num_hidden_layers=layers_of(state, "layers."))
    model = Nano(config)
    model.load_state_dict(state)
    first = codec.answer(ABSENT)[0]
    found, mean = margins(model.eval(), codec, first)
    print("refused, by bias:")
    for bias in BIASES:
        print(bias, {name: round((margin + bias > 0).float().mean().item(), 3) for name, margin in found.items()})
    state["embed_tokens.weight"][first] += args.bias * mean / mean.square().sum()
    write(state, config, None, args.out)
    print(args.out, args.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
