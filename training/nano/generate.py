"""Greedy decoding without a cache: slow and plain, the reference for the engines."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from batches import Codec
from export import read
from model import Config, Nano, layers_of
from patches import to_float
from unipic import IMAGE_TOKEN, UniPic


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


@torch.no_grad()
def look(model: UniPic, codec: Codec, picture: np.ndarray, question: str, most: int = 48) -> tuple[list[int], list[int], Tensor]:
    """A question about one picture (S, S, 3), seen by the tower: the prompt's ids, the ids of the answer up to and with the end, and the logits (vocabulary) of the first of them."""
    patches = model.siglip2.c.patches
    prompt = codec.ids(f"<|im_start|>user\n{'<image>' * patches}\n{question}<|im_end|>\n<|im_start|>assistant\n")
    assert prompt.count(IMAGE_TOKEN) == patches
    visual, kept = model.siglip2_proj(model.siglip2(to_float(picture[None]))).float(), torch.arange(patches)[None]
    reply: list[int] = []
    first = None
    while len(reply) < most and codec.end not in reply:
        logits = model.lm.logits(model.look([prompt + reply], visual, kept)[0, -1])
        first = logits if first is None else first
        reply.append(int(logits.argmax()))
    return prompt, reply, first
