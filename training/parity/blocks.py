"""Whether a model answers from passages that were read apart as well as from passages that were read in order, and whether its attention finds the right one.

    node eval/documents/rows.mjs --n 200 > rows.jsonl
    python training/parity/blocks.py answers FOLDER rows.jsonl --n 80 --json FILE
    node eval/documents/rows.mjs --n 120 --pack 240 --limit 32 > all.jsonl
    python training/parity/blocks.py order FOLDER all.jsonl --n 120 --json FILE

FOLDER has a model in the form of Hugging Face; it runs in bf16. `answers` shows the best passages of each question (`--passages`, in the order of the
document) and compares:

- `order`: read one after the other, as the engine does;
- `apart`: each read behind the prefix alone, all at the same positions (Parallel Context Windows, 2212.10947);
- `ape`: the same, with a temperature and a scale of .9 on the logits of the passages (APE, 2502.05431);
- `moved`: read apart, then the keys rotated to the positions that they have in order (what `overflow: 'move'` does with pages);
- `first16`: moved, then the first 16 tokens of each passage read again with all before them (EPIC, 2410.15332);
- `blend15`, `blend30`: moved, then the 15 or 30 % of tokens read again whose values in the second layer differ most from those in order (CacheBlend, 2405.16444).

For each it prints the share of answers with the expected words, the nats a token of the expected answer, and the differences from `order` with 95 % intervals of
paired items (Agresti and Min 2005 for shares, normal for nats).

`order` reads each of the 32 passages that search found apart (the first half of the layers suffices), lets the question attend to all, and sorts them by what
they get in the layers from .35 to .5 of the depth, less what they get from `N/A` (ICR, 2410.02642). It prints how often the right passage comes first by
search, by attention, and by both in standard deviations with several weights.
"""

import argparse
import json
import math
import re
import time
import unicodedata

import torch
from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer

INSTRUCTION = "Answer with words from the text, as briefly as possible."
LONGEST = 40
TEMPERATURE = SCALE = 0.9
BAND = (0.35, 0.5)
WEIGHTS = (0.25, 0.5, 1.0, 2.0)

state: dict = {}


def attention(module, query, key, value, attention_mask, scaling, dropout=0.0, **_):
    """Attention over `past` and the new tokens, or over `base` with the new tokens at the places `rows`."""
    layer = module.layer_idx
    if "base" in state:
        k, v = (x.clone() for x in state["base"][layer])
        k[:, :, state["rows"]], v[:, :, state["rows"]] = key, value
    elif state.get("past") is not None:
        k, v = (torch.cat([old, new], 2) for old, new in zip(state["past"][layer], (key, value)))
    else:
        k, v = key, value
    if "out" in state:
        state["out"].append((k, v))
    k, v = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (k, v))
    mask = state["mask"]
    out = torch.nn.functional.scaled_dot_product_attention(query, k, v, attn_mask=mask, scale=scaling)
    if "sharpen" in state:
        row, start, end = state["sharpen"]
        scores = (query[row] @ k[row].transpose(1, 2)).float() * scaling
        scores = scores.masked_fill(~mask[0], -math.inf)
        inside = scores[..., start:end] / TEMPERATURE
        mass = torch.logsumexp(inside, -1, keepdim=True)
        scores[..., start:end] = inside - mass + mass * TEMPERATURE * SCALE
        out[row] = scores.softmax(-1).to(v.dtype) @ v[row]
    if "probe" in state and layer in state["layers"]:
        scores = (query[0] @ k[0].transpose(1, 2)).float() * scaling
        state["probe"].append(scores.masked_fill(~mask[0], -math.inf).softmax(-1).mean((0, 1)))
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register("blocks", attention)


def run(model, ids, positions, **settings):
    """Hidden states of `ids` [rows, tokens]."""
    state.clear()
    state.update(settings)
    return model.model(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state


def rotated(model, keys, by):
    """Keys [1, heads, tokens, d] moved by so many positions each."""
    cos, sin = model.model.rotary_emb(keys.float(), by[None])
    x = keys.float()
    half = x.shape[3] // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], 3)
    return (x * cos[:, None] + turned * sin[:, None]).to(keys.dtype)


class Prompts:
    def __init__(self, tokenizer):
        self.encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
        mark = "@@TEXT@@"
        message = [{"role": "user", "content": f"{mark}Question: {mark}\n{INSTRUCTION}"}]
        before, self.between, after = tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=False).split(mark)
        self.before, self.after = self.encode(before), after

    def question(self, question):
        return self.encode(self.between + question + self.after)


def plain(text):
    text = unicodedata.normalize("NFKC", text).lower()
    text = "".join(" " if unicodedata.category(c)[0] in "PS" else c for c in text)
    return " ".join(re.sub(r"\b(the|a|an|der|die|das)\b", " ", text).split())


def holds(said, wanted):
    return f" {plain(wanted)} " in f" {plain(said)} "


@torch.no_grad()
def answered(model, tokenizer, prompts, row, count):
    passages = sorted(row["passages"][:count], key=lambda one: one["start"])
    blocks = [prompts.encode(one["text"] + "\n\n") for one in passages]
    start = len(prompts.before)
    ids = prompts.before + sum(blocks, [])
    n = len(ids)
    causal = torch.ones(n, n, dtype=torch.bool).tril()
    apart = causal.clone()
    places, firsts = list(range(start)), []
    at = start
    for block in blocks:
        apart[at : at + len(block), start:at] = False
        places += range(start, start + len(block))
        firsts += range(at, min(at + 16, at + len(block))) if at > start else []
        at += len(block)
    order, same = torch.arange(n), torch.tensor(places)
    read: list = []
    run(model, torch.tensor([ids, ids]), torch.stack([order, same]), mask=torch.stack([causal, apart])[:, None], out=read)
    dense = [(k[:1], v[:1]) for k, v in read]
    alone = [(k[1:], v[1:]) for k, v in read]
    moved = [(rotated(model, k, order - same), v) for k, v in alone]
    differs = (dense[1][1].float() - moved[1][1].float()).square().sum((0, 1, 3))

    def again(rows):
        rows = torch.tensor(rows)
        if len(rows) == 0:
            return moved
        out: list = []
        run(model, torch.tensor(ids)[rows][None], rows[None], mask=causal[rows][None, None], base=moved, rows=rows, out=out)
        return out

    def blend(share):
        return again(sorted(differs.topk(math.ceil(share * n)).indices.tolist()))

    late = int(same.max()) + 1
    variants = {
        "order": (dense, n),
        "apart": (alone, late),
        "ape": (alone, late),
        "moved": (moved, n),
        "first16": (again(firsts), n),
        "blend15": (blend(0.15), n),
        "blend30": (blend(0.3), n),
    }
    names = list(variants)
    past = [tuple(torch.cat([variants[name][0][layer][i] for name in names]) for i in (0, 1)) for layer in range(len(dense))]
    begin = torch.tensor([variants[name][1] for name in names])
    sharpen = (names.index("ape"), start, n)

    def further(now, past, begin, keep=True):
        held = past[0][0].shape[2]
        mask = torch.ones(now.shape[1], held + now.shape[1], dtype=torch.bool).tril(held)[None, None]
        out: list = []
        hidden = run(model, now, begin[:, None] + torch.arange(now.shape[1]), mask=mask, past=past, out=out, sharpen=sharpen)
        return hidden, out if keep else past

    asking = torch.tensor(prompts.question(row["question"])).expand(len(names), -1)
    hidden, past = further(asking, past, begin)
    begin = begin + asking.shape[1]
    logits = model.lm_head(hidden[:, -1:]).float()
    gold = torch.tensor(prompts.encode(row["answer"]))
    theirs, _ = further(gold.expand(len(names), -1), past, begin, keep=False)
    all_logits = torch.cat([logits, model.lm_head(theirs[:, :-1]).float()], 1).log_softmax(-1)
    nats = -all_logits.gather(2, gold.expand(len(names), -1)[..., None]).mean((1, 2))
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    said = [[] for _ in names]
    done = [False] * len(names)
    for _ in range(LONGEST):
        best = logits[:, -1].argmax(-1)
        for i, token in enumerate(best.tolist()):
            done[i] = done[i] or token == end
            if not done[i]:
                said[i].append(token)
        if all(done):
            break
        hidden, past = further(best[:, None], past, begin)
        begin = begin + 1
        logits = model.lm_head(hidden).float()
    texts = [tokenizer.decode(one) for one in said]
    return {
        name: {"right": holds(text, row["answer"]), "nats": float(loss), "text": text} for name, text, loss in zip(names, texts, nats)
    }, n


def paired(a, b):
    """Difference of two shares of the same items (a - b), with its 95 % interval."""
    n = len(a) + 2
    more = sum(x and not y for x, y in zip(a, b)) + 0.5
    less = sum(y and not x for x, y in zip(a, b)) + 0.5
    middle = (more - less) / n
    spread = 1.96 * math.sqrt((more + less) - (more - less) ** 2 / n) / n
    return [round(x, 3) for x in ((sum(a) - sum(b)) / len(a), middle - spread, middle + spread)]


def difference(a, b):
    d = torch.tensor(a) - torch.tensor(b)
    spread = 1.96 * float(d.std()) / math.sqrt(len(d))
    return [round(float(d.mean()) + x, 3) for x in (0, -spread, spread)]


def answers(model, tokenizer, rows, arguments):
    prompts = Prompts(tokenizer)
    rows = [row for row in rows if len(row["passages"]) >= arguments.least][: arguments.n]
    results, tokens = [], []
    begun = time.time()
    for i, row in enumerate(rows):
        result, n = answered(model, tokenizer, prompts, row, arguments.passages)
        results.append(result)
        tokens.append(n)
        if (i + 1) % 10 == 0:
            right = {name: sum(one[name]["right"] for one in results) for name in result}
            print(i + 1, right, f"{(time.time() - begun) / (i + 1):.1f} s each", flush=True)
            summary(rows, results, tokens, arguments)
    return summary(rows, results, tokens, arguments)


def summary(rows, results, tokens, arguments):
    of = lambda name, what: [one[name][what] for one in results]
    table = {
        name: {
            "right": round(sum(of(name, "right")) / len(results), 3),
            "nats": round(sum(of(name, "nats")) / len(results), 3),
            "rightAgainstOrder": paired(of(name, "right"), of("order", "right")),
            "natsAgainstOrder": difference(of(name, "nats"), of("order", "nats")),
        }
        for name in results[0]
    }
    report = {"n": len(results), "passages": arguments.passages, "tokens": round(sum(tokens) / len(tokens)), "variants": table}
    if arguments.json:
        items = [{"id": row["id"], **one} for row, one in zip(rows, results)]
        with open(arguments.json, "w") as file:
            json.dump({**report, "items": items}, file, indent=1)
    return report


@torch.no_grad()
def ordered(model, tokenizer, rows, arguments):
    prompts = Prompts(tokenizer)
    depth = len(model.model.layers)
    layers = range(int(BAND[0] * depth), int(BAND[1] * depth))
    model.model.layers = model.model.layers[: layers.stop]
    start = len(prompts.before)
    first: list = []
    run(model, torch.tensor([prompts.before]), torch.arange(start)[None], mask=torch.ones(start, start, dtype=torch.bool).tril()[None, None], out=first)
    read: dict = {}

    def pages(text):
        if text not in read:
            ids = torch.tensor([prompts.encode(text + "\n\n")])
            n = ids.shape[1]
            out: list = []
            mask = torch.ones(n, start + n, dtype=torch.bool).tril(start)[None, None]
            run(model, ids, start + torch.arange(n)[None], mask=mask, past=first, out=out)
            read[text] = [(k[:, :, start:], v[:, :, start:]) for k, v in out]
        return read[text]

    z = lambda x: (x - x.mean()) / x.std().clamp_min(1e-9)
    ranks: dict = {}
    begun = time.time()
    # A choice needs two.
    rows = [row for row in rows if len(row["passages"]) > 1]
    for i, row in enumerate(rows[: arguments.n]):
        blocks = [pages(one["text"]) for one in row["passages"]]
        lengths = [block[0][0].shape[2] for block in blocks]
        past = [tuple(torch.cat([first[layer][j], *(block[layer][j] for block in blocks)], 2) for j in (0, 1)) for layer in range(layers.stop)]
        held = past[0][0].shape[2]

        def looked(question):
            ids = torch.tensor([prompts.question(question)])
            n = ids.shape[1]
            probe: list = []
            mask = torch.ones(n, held + n, dtype=torch.bool).tril(held)[None, None]
            run(model, ids, start + max(lengths) + torch.arange(n)[None], mask=mask, past=past, probe=probe, layers=layers)
            return torch.stack(probe).sum(0)[start:held]

        theirs, nothing = looked(row["question"]), looked("N/A")
        scores: dict = {}
        for name, values in (("attention", theirs), ("less N/A", theirs - nothing)):
            sums, means = [], []
            for part in values.split(lengths):
                kept = part[part > part.mean() - 2 * part.std()] if len(part) > 1 else part
                sums.append(kept.sum())
                means.append(kept.mean())
            scores[name] = torch.stack(sums)
            scores[f"{name}, mean"] = torch.stack(means)
        words = z(torch.tensor([one["score"] for one in row["passages"]], dtype=torch.float64))
        candidates = {"words": words}
        for name, values in scores.items():
            alone = z(values.double())
            candidates[name] = alone
            for weight in WEIGHTS:
                candidates[f"words + {weight} {name}"] = words + weight * alone
        gold = next((j for j, one in enumerate(row["passages"]) if one["gold"]), None)
        for name, values in candidates.items():
            ranks.setdefault(name, []).append(99 if gold is None else int((values > values[gold]).sum()))
        if (i + 1) % 10 == 0:
            print(i + 1, f"{(time.time() - begun) / (i + 1):.1f} s each", {k: sum(r == 0 for r in v) for k, v in ranks.items() if "+" not in k}, flush=True)
    n = len(ranks["words"])
    report = {
        "n": n,
        "first": {
            name: {
                "share": round(sum(r == 0 for r in own) / n, 3),
                "amongFive": round(sum(r < 5 for r in own) / n, 3),
                "againstWords": paired([r == 0 for r in own], [r == 0 for r in ranks["words"]]),
            }
            for name, own in ranks.items()
        },
    }
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(report, file, indent=1)
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("answers", "order"))
    parser.add_argument("folder")
    parser.add_argument("rows")
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--passages", type=int, default=5)
    parser.add_argument("--least", type=int, default=3, help="questions for which search found fewer passages are left out")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_default_device(arguments.device)
    with open(arguments.rows) as file:
        rows = [json.loads(line) for line in file]
    tokenizer = AutoTokenizer.from_pretrained(arguments.folder)
    model = AutoModelForCausalLM.from_pretrained(arguments.folder, dtype=torch.bfloat16, attn_implementation="blocks").eval().to(arguments.device)
    report = (answers if arguments.what == "answers" else ordered)(model, tokenizer, rows, arguments)
    print(json.dumps(report, indent=1))


main()
