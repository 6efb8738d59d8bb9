"""Exact answers on held-out facts, with the Q8_0 weights of a checkpoint or GGUF, in f32.

    python evaluate.py --checkpoint ../../models/nano/nano.gguf --json ../runs/scores.json

One question a document, in the first turn. An answer counts when greedy decoding would give exactly
the expected tokens and then <|im_end|>; that is so just when each expected token has the highest logit
after the ones before it, so one forward pass decides. Intervals are Wilson's, 95 %.
"""

import argparse
import json
import re
import time
from collections import defaultdict
from pathlib import Path
from random import Random

import torch

import world
from batches import Codec
from documents import ask_absent, make_document
from export import averaged, dequantised, read
from model import Config, Nano, layers_of

# name: (document tokens, share of fact sentences, documents)
TASKS = {
    "sparse 256": (256, 0.08, 500), "sparse 512": (512, 0.08, 500), "sparse 1000": (1000, 0.08, 500), "sparse 2000": (2000, 0.08, 500),
    "dense 256": (256, 1.0, 500), "dense 512": (512, 1.0, 500), "dense 1000": (1000, 1.0, 500), "dense 2000": (2000, 1.0, 300),
}
ABSENT = {"absent, sparse 512": (512, 0.08, 300), "absent, dense 512": (512, 1.0, 300)}


def wilson(right: int, n: int) -> tuple[float, float]:
    """95 % confidence interval of a share."""
    z, p = 1.959964, right / n
    middle, half = p + z * z / (2 * n), z * ((p * (1 - p) + z * z / (4 * n)) / n) ** 0.5
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def sort_of(value: str) -> str:
    """What an answer is, for the table by sort."""
    if any(m in value for m in world.w.MONTHS) and re.search(r"\d", value):
        return "date"
    if re.fullmatch(r"\d+:\d\d", value):
        return "time"
    if re.fullmatch(r"[A-Z0-9-]+", value) and re.search(r"[A-Z]", value):
        return "code"
    if re.search(r"\d", value):
        return "number"
    return "name" if value[0].isupper() else "word"


def load(path: Path) -> Nano:
    """The language model of a checkpoint (joint or not) or of a GGUF, with the weights as an engine sees them."""
    if path.suffix == ".gguf":
        state = read(path)
        table = state["lm.embed_tokens.weight"] if "lm.embed_tokens.weight" in state else state["embed_tokens.weight"]
        config = Config(vocab_size=len(table), num_hidden_layers=layers_of(state, "lm.layers." if "lm.norm.weight" in state else "layers."))
    else:
        checkpoint = torch.load(path, weights_only=True)
        state, config = dequantised(averaged(checkpoint)), Config(**checkpoint["config"])
    if any(name.startswith("lm.") for name in state):
        state = {name[3:]: t for name, t in state.items() if name.startswith("lm.")}
    model = Nano(config)
    model.load_state_dict(state)
    return model.eval()


@torch.no_grad()
def exact(model: Nano, prompts: list[list[int]], replies: list[list[int]], rows: int) -> list[bool]:
    """For each prompt, whether greedy decoding gives exactly its reply."""
    results = []
    for i in range(0, len(prompts), rows):
        lines = [p + a[:-1] for p, a in zip(prompts[i : i + rows], replies[i : i + rows])]
        ids = torch.zeros(len(lines), max(map(len, lines)), dtype=torch.long)
        for row, line in zip(ids, lines):
            row[: len(line)] = torch.tensor(line)
        hidden = model(ids)
        for row, p, a in zip(hidden, prompts[i : i + rows], replies[i : i + rows]):
            best = model.logits(row[len(p) - 1 : len(p) - 1 + len(a)]).argmax(-1)
            results.append(best.tolist() == a)
    return results


def items(codec: Codec, name: str, tokens: int, density: float, n: int, seed: int) -> list[tuple[str, str, str]]:
    """(document, question, answer) of a task."""
    r = Random(f"evaluate/{seed}/{name}")
    made = []
    for _ in range(n):
        document = make_document(r, tokens, density, codec.count, held_out=True)
        question, answer = r.choice(document.questions)
        if name.startswith("absent"):
            question, answer = ask_absent(r, document.facts), world.ABSENT
        made.append((document.text, question, answer))
    return made


def run(model: Nano, codec: Codec, name: str, tokens: int, density: float, n: int, seed: int) -> dict:
    prompts, replies, sorts, sizes = [], [], [], []
    for text, question, answer in items(codec, name, tokens, density, n, seed):
        prompts.append(codec.first_turn(text, question))
        replies.append(codec.answer(answer))
        sorts.append("absent" if answer == world.ABSENT else sort_of(answer))
        sizes.append(codec.count(text))
    hits = exact(model, prompts, replies, max(1, 4096 // tokens))
    by_sort: dict[str, list[bool]] = defaultdict(list)
    for sort, hit in zip(sorts, hits):
        by_sort[sort].append(hit)
    low, high = wilson(sum(hits), n)
    return {
        "n": n, "right": sum(hits), "share": round(sum(hits) / n, 4), "low": round(low, 4), "high": round(high, 4),
        "mean document tokens": round(sum(sizes) / n), "by sort": {k: [sum(v), len(v)] for k, v in sorted(by_sort.items())},
    }


def handwritten(model: Nano, codec: Codec, part: str) -> dict:
    """Questions on documents that were written without the generator: what lies outside its templates."""
    prompts, replies, names = [], [], []
    for entry in json.loads((Path(__file__).parents[2] / "eval/nano-handwritten.json").read_text())[part]:
        for question, answer in entry["questions"]:
            prompts.append(codec.first_turn(entry["document"], question))
            replies.append(codec.answer(answer))
            names.append(question)
    hits = exact(model, prompts, replies, 4)
    low, high = wilson(sum(hits), len(hits))
    return {"n": len(hits), "right": sum(hits), "share": round(sum(hits) / len(hits), 4), "low": round(low, 4), "high": round(high, 4),
            "wrong": [q for q, hit in zip(names, hits) if not hit]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path, required=True, help="checkpoint, or GGUF")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--n", type=int, help="documents a task, for a quick look")
    parser.add_argument("--only", default="", help="only tasks whose name has this in it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, codec, scores = load(args.checkpoint), Codec.beside(args.checkpoint), {}
    for name, (tokens, density, n) in (TASKS | ABSENT).items():
        if args.only not in name:
            continue
        start = time.monotonic()
        s = scores[name] = run(model, codec, name, tokens, density, args.n or n, args.seed)
        print(f"{name:20} {s['share']:.3f} [{s['low']:.3f}, {s['high']:.3f}] n {s['n']} {s['by sort']} {time.monotonic() - start:.0f} s", flush=True)
    if args.only in "handwritten":
        for part in ("first", "second"):
            name = f"handwritten, {part}"
            scores[name] = handwritten(model, codec, part)
            print(name, scores[name], flush=True)
    if args.json:
        args.json.write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()
