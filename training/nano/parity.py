"""Write models/nano/parity.json: what PyTorch makes of nano.gguf, for the engines to be checked against.

    python parity.py

All with the dequantised weights in f32. `cases`: five documents of growing length: ids, greedy ids with
<|im_end|>, and the eight highest logits of the first step. `looking`: the same for questions about the demo's collage. `painting`: pictures of
the small world, enlarged twice (before and found: in heldout.py's code), with injected order and noise; `noise` has the normal
numbers in the order in which they are used (for each iteration the first x of its tokens, tokens in the
order of `order`, then a set a step while noise is added); `tokens` the 64 x 32 result.
"""

import json
import re
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import gallery
import heldout
import scenes
from batches import Codec
from diffusion import paint
from documents import make_document
from evaluate_pictures import load, tokens_of
from generate import greedy, load_gguf, look
from patches import to_bytes
from picture_batches import Frames

HERE = Path(__file__).parents[2] / "models/nano"
SCALE = gallery.SIZE // scenes.WORLD.size


def top_logits(logits: Tensor) -> dict[str, float]:
    top = logits.topk(8)
    return {str(k): round(v, 5) for k, v in zip(top.indices.tolist(), top.values.tolist())}


def documents(codec: Codec) -> list[dict]:
    model = load_gguf(HERE / "nano.gguf", codec)
    cases = []
    for i, (tokens, density) in enumerate([(40, 1.0), (120, 0.3), (300, 1.0), (700, 0.08), (1500, 0.08)]):
        r = Random(f"parity/{i}")
        document = make_document(r, tokens, density, codec.count, held_out=True)
        question, answer = r.choice(document.questions)
        prompt = codec.first_turn(document.text, question)
        reply, logits = greedy(model, prompt, codec.end)
        cases.append({
            "document": document.text, "question": question, "expected": answer, "promptIds": prompt, "greedyIds": reply,
            "text": codec.tokenizer.decode(reply), "firstLogits": top_logits(logits),
        })
        print(len(prompt), repr(cases[-1]["text"]), "expected", answer)
    return cases


def looking(model, codec: Codec) -> list[dict]:
    collage = json.loads((HERE / "demo.json").read_text())["collage"]
    picture, cases = np.asarray(Image.open(HERE / collage["file"]).convert("RGB")), []
    for q in collage["questions"]:
        prompt, reply, first = look(model, codec, picture, q["question"])
        cases.append({
            "picture": collage["file"], "question": q["question"], "expected": q["answer"], "promptIds": prompt, "greedyIds": reply,
            "text": codec.tokenizer.decode(reply), "firstLogits": top_logits(first),
        })
        print(q["question"], repr(cases[-1]["text"]), "expected", q["answer"])
    return cases


@torch.no_grad()
def painting(model, frames: Frames) -> list[dict]:
    cases = []
    for seed, text, before in [(1, "a red circle northwest and a yellow circle southeast", None), (2, "Move the star to the northeast", "330141")]:
        settings = {"iterations": 2, "steps": 4, "guidance": 3.0}
        generator, used = torch.Generator().manual_seed(seed), []
        order = torch.rand(1, model.c.tokens, generator=generator).argsort(1)

        def normal(*shape: int) -> Tensor:
            used.append((torch.randn(shape, generator=generator) * 1e4).round() / 1e4)
            return used[-1]

        source = None if before is None else tokens_of(model, [scenes.render(heldout.decode(before)).repeat(SCALE, 0).repeat(SCALE, 1)])
        prompt = frames.paint if before is None else frames.edit
        tokens = paint(model, [prompt(text)], [prompt(None)], source, order=order, normal=normal, **settings)
        picture = to_bytes(model.vae.decode(tokens))[0]
        side = scenes.WORLD.size
        found = heldout.encode(scenes.match(picture.reshape(side, SCALE, side, SCALE, 3).mean((1, 3)))[0])
        cases.append({
            "text": text, "scene": before, **settings, "temperature": 1, "promptIds": prompt(text), "unconditionalIds": prompt(None),
            "order": order[0].tolist(), "noise": [round(v, 4) for u in used for v in u.reshape(-1).tolist()],
            "tokens": [round(v, 5) for v in tokens.reshape(-1).tolist()], "found": found,
        })
        print(text, before, "->", found)
    return cases


def squeeze(text: str) -> str:
    """Lists of numbers on one line."""
    return re.sub(r"\[\s*(-?[\d.e-]+(?:,\s*-?[\d.e-]+)*)\s*\]", lambda m: "[" + re.sub(r",\s+", ",", m[1]) + "]", text)


def main() -> None:
    torch.set_num_threads(1)
    codec = Codec.beside(HERE / "nano.gguf")
    model = load(HERE / "nano.gguf")
    frames = Frames(codec, model.c.tokens + model.c.buffer_count)
    note = f"nano.gguf, dequantised to f32, PyTorch {torch.__version__.split('+')[0]}; written and explained by training/nano/parity.py"
    body = {"note": note, "cases": documents(codec), "looking": looking(model, codec), "painting": painting(model, frames)}
    (HERE / "parity.json").write_text(squeeze(json.dumps(body, indent=1)) + "\n")


if __name__ == "__main__":
    main()
