"""Greedy decoding without a cache: slow and plain, the reference for the engines."""

from pathlib import Path

import torch
from torch import Tensor

from batches import Codec
from export import read
from model import Config, Nano, layers_of


def load_gguf(path: Path, codec: Codec) -> Nano:
    """Nano's language model with the dequantised weights of a GGUF, in f32."""
    state = read(path)
    state = {n.removeprefix("lm."): t for n, t in state.items() if n.startswith("lm.")} or state
    model = Nano(Config(vocab_size=codec.tokenizer.get_vocab_size(), num_hidden_layers=layers_of(state, "layers.")))
    model.load_state_dict(state)
    return model.eval()


@torch.no_grad()
def greedy(model: Nano, prompt: list[int], end: int, most: int = 32) -> tuple[list[int], Tensor]:
    """The ids after `prompt`, up to and with `end`, and the logits (vocabulary) of the first of them."""
    ids, first = list(prompt), None
    while len(ids) < len(prompt) + most and (len(ids) == len(prompt) or ids[-1] != end):
        logits = model.logits(model(torch.tensor([ids]))[0, -1])
        first = logits if first is None else first
        ids.append(int(logits.argmax()))
    return ids[len(prompt) :], first


def ask(model: Nano, codec: Codec, document: str, question: str) -> str:
    reply, _ = greedy(model, codec.first_turn(document, question), codec.end)
    return codec.tokenizer.decode([i for i in reply if i != codec.end]).strip()
