"""What a share of the keys can do at best while a long text is read: keys chosen by the true attention, beside keys chosen by block means.

    node eval/long-rows.mjs --model FILE --length 4096 --n 4 > rows.jsonl
    python training/parity/oracle.py rows.jsonl --model qwen --share .1

Each text is read once by each method, then asked its eight questions, which attend to all keys, as the engine's planners do. For each block of 64
queries and each query head, the share of the keys seen so far is:

- `dense`: all;
- `oracle`: those with the largest sum of true attention probabilities over the block's queries, one by one;
- `oracle 32`: the same by blocks of 32 keys, the engine's pages;
- `means 32`: blocks of 32 keys by the product of the queries' mean with the keys' mean (block top-k, as the engine has it).

The block of the queries itself and the first 32 keys are always among them, and the last 64 queries of the text see all. Weights are the dequantised
ones of a GGUF (`npm run models`), in f32. An answer is right when it holds the expected words.
"""

import argparse
import json
import re
import time
from pathlib import Path

import torch
from real import load
from transformers import AttentionInterface

QUERIES, PAGE = 64, 32
state: dict = {"method": "dense"}


def chosen(q: torch.Tensor, k: torch.Tensor, scores: torch.Tensor, method: str, share: float) -> torch.Tensor:
    """Which keys (H, n) the queries q (H, m, C) see of k (H, n, C), by their masked `scores` (H, m, n)."""
    heads, m, n = scores.shape
    budget = max(1, int(share * n))
    seen = torch.zeros(heads, n, dtype=torch.bool)
    seen[:, :PAGE] = True
    seen[:, n - m :] = True
    if method == "oracle":
        mass = scores.softmax(-1).sum(1)
        seen.scatter_(1, mass.topk(budget, -1).indices, True)
        return seen
    pages = -(-n // PAGE)
    pad = pages * PAGE - n
    if method == "oracle 32":
        mass = torch.nn.functional.pad(scores.softmax(-1).sum(1), (0, pad)).view(heads, pages, PAGE).sum(-1)
    else:
        counts = torch.full((pages,), PAGE)
        counts[-1] -= pad
        means = torch.nn.functional.pad(k, (0, 0, 0, pad)).view(heads, pages, PAGE, -1).sum(2) / counts[None, :, None]
        mass = torch.einsum("hc,hpc->hp", q.mean(1), means)
    best = mass.topk(max(1, budget // PAGE), -1).indices
    by_page = torch.zeros(heads, pages, dtype=torch.bool).scatter_(1, best, True)
    return seen | by_page.repeat_interleave(PAGE, 1)[:, :n]


def attention(module, query, key, value, attention_mask, scaling, dropout=0.0, **_):
    group = query.shape[1] // key.shape[1]
    q, k, v = query[0], key[0].repeat_interleave(group, 0), value[0].repeat_interleave(group, 0)
    t, n = q.shape[1], k.shape[1]
    out = torch.empty_like(q)
    for start in range(0, t, QUERIES):
        end = min(start + QUERIES, t)
        seen = n - t + end
        scores = q[:, start:end] @ k[:, :seen].transpose(1, 2) * scaling
        later = torch.ones(end - start, end - start, dtype=torch.bool).triu(1)
        scores[..., seen - (end - start) :].masked_fill_(later, -torch.inf)
        if state["method"] != "dense" and t > QUERIES and end + QUERIES <= t:
            keep = chosen(q[:, start:end], k[:, :seen], scores, state["method"], state["share"])
            scores.masked_fill_(~keep[:, None], -torch.inf)
        out[:, start:end] = scores.softmax(-1) @ v[:, :seen]
    return out.transpose(0, 1)[None].contiguous(), None


AttentionInterface.register("oracle", attention)


def holds(text: str, part: str) -> bool:
    plain = lambda s: re.sub(r"\W+", " ", s.lower()).strip()
    return f" {plain(part)} " in f" {plain(text)} "


@torch.no_grad()
def read(model, tokenizer, reading: dict) -> tuple[str, list[float]]:
    """1 or 0 for each question of a text that is read once, and nats a token of the words that are expected first."""
    message = [{"role": "user", "content": reading["text"]}]
    front = tokenizer.apply_chat_template(message, tokenize=False)
    ids = tokenizer(front, add_special_tokens=False, return_tensors="pt").input_ids
    cache = model(ids, use_cache=True, logits_to_keep=1).past_key_values
    kept = cache.get_seq_length()

    def further(new: torch.Tensor) -> torch.Tensor:
        return model(new, past_key_values=cache, use_cache=True).logits[0]

    def back() -> None:
        if beyond := cache.get_seq_length() - kept:
            cache.crop(-beyond)

    outcomes = ""
    nats = []
    for question in reading["questions"]:
        both = tokenizer.apply_chat_template([*message, {"role": "user", "content": question["question"]}], tokenize=False, add_generation_prompt=True)
        new = tokenizer(both[len(front) :] + question["begun"], add_special_tokens=False, return_tensors="pt").input_ids
        space = " " if question["begun"] else ""
        expected = tokenizer(space + question["parts"][0], add_special_tokens=False, return_tensors="pt").input_ids
        logits = further(torch.cat([new, expected], 1))[new.shape[1] - 1 :]
        nats.append(-logits[:-1].log_softmax(-1).gather(1, expected.T).mean().item())
        back()
        said: list[int] = []
        if torch.equal(logits[:-1].argmax(-1), expected[0]):
            # What greedy steps would say, and the token behind it.
            said = logits.argmax(-1).tolist()
        else:
            while len(said) < question["tokens"]:
                best = further(new)[-1].argmax()
                if best == tokenizer.eos_token_id:
                    break
                said.append(int(best))
                new = best.view(1, 1)
            back()
        text = tokenizer.decode(said)
        outcomes += "1" if all(holds(text, part) for part in question["parts"]) else "0"
    return outcomes, nats


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=Path)
    parser.add_argument("--model", default="qwen")
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--methods", default="dense,oracle,oracle 32,means 32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    _, tokenizer, model = load(args.model)
    model.set_attn_implementation("oracle")
    results: dict[str, list[str]] = {}
    nats: dict[str, list[list[float]]] = {}
    state["share"] = args.share
    for line in args.rows.read_text().splitlines():
        for method in args.methods.split(","):
            state["method"] = method
            begun = time.monotonic()
            outcomes, expected = read(model, tokenizer, json.loads(line))
            results.setdefault(method, []).append(outcomes)
            nats.setdefault(method, []).append([round(value, 5) for value in expected])
            print(method, outcomes, round(sum(expected) / len(expected), 3), "nats", round(time.monotonic() - begun), "s", flush=True)
        if args.json:
            args.json.write_text(json.dumps({"model": args.model, "share": args.share, "readings": results, "nats": nats}, indent=1) + "\n")
    for method, found in results.items():
        values = [value for text in nats[method] for value in text]
        print(method, sum(o.count("1") for o in found), "of", sum(map(len, found)), round(sum(values) / len(values), 3), "nats")


if __name__ == "__main__":
    main()
