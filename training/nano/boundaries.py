"""Train DHSA's boundary predictor (2510.24606, first version) on nano, and append it to nano's file.

    python boundaries.py --model ../../models/nano/nano.gguf [--out FILE] [--layer 0] [--documents 160] [--steps 1200]

Labels are computed, not annotated: for the gap before key i, the attention mass that all later queries (from i + w on) give the w keys before it and
the w after it, summed over heads and layers; positive when the larger is at least twice the smaller. Inputs are the keys of one layer before RoPE, KV
heads side by side. Focal loss (gamma 2, positive weight 1.3), Adam.

Before it writes it prints what boundaries are for: the share of the attention mass beyond sinks and window that a budget of 25 % of the keys keeps, for boundaries of this
predictor at several thresholds, of the training-free score, and for blocks of 32 keys; the threshold that is written keeps most. Held-out documents.
"""

import argparse
import math
from pathlib import Path
from random import Random

import gguf
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from batches import Codec, sequence
from documents import make_document
from export import read
from model import Config, Nano, rotate

WINDOW = 4  # keys on either side of a gap
GAMMA, POSITIVE = 2.0, 1.3
RADIUS, KEYS_PER_BOUNDARY, LAST_CHUNK = 8, 16, 64
QUERIES, LIST, SINKS, LOCAL, SHARE = 128, 32, 4, 128, 0.25


class Predictor(nn.Module):
    """Windows of keys (N, 2 w, D) to logits (N,): as in assembly/select/boundary.ts."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.attn_q = nn.Linear(width, width, bias=False)
        self.attn_k = nn.Linear(width, width, bias=False)
        self.attn_v = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.hidden = nn.Linear(4 * width + 1, hidden)
        self.output = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        w = x.shape[1] // 2
        q, k, v = self.attn_q(x), self.attn_k(x), self.attn_v(x)
        y = self.norm(x + (q @ k.transpose(1, 2) / math.sqrt(x.shape[2])).softmax(-1) @ v)
        left, right = y[:, :w].mean(1), y[:, w:].mean(1)
        cosine = (left * right).sum(-1, keepdim=True) / (left.norm(dim=-1, keepdim=True) * right.norm(dim=-1, keepdim=True)).clamp_min(1e-20)
        return self.output(self.hidden(torch.cat([left, right, (left - right).abs(), left * right, cosine], -1)).relu())[:, 0]


def load(path: Path) -> Nano:
    """The language model of a GGUF that export.py wrote, of the text half or of the whole."""
    state = read(path)
    if any(name.startswith("lm.") for name in state):
        state = {name[3:]: t for name, t in state.items() if name.startswith("lm.")}
    vocabulary, hidden = state["embed_tokens.weight"].shape
    head = 64
    config = Config(
        vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=1 + max(int(name.split(".")[1]) for name in state if name.startswith("layers.")),
        num_attention_heads=len(state["layers.0.self_attn.q_proj.weight"]) // head, num_key_value_heads=len(state["layers.0.self_attn.k_proj.weight"]) // head,
        head_dim=head, intermediate_size=len(state["layers.0.mlp.gate_proj.weight"]),
    )
    model = Nano(config)
    model.load_state_dict({name: t for name, t in state.items() if name.startswith(("embed_tokens", "layers.", "norm."))})
    return model.eval()


class Read:
    """One document read: keys before RoPE, and the attention of every layer."""

    @torch.no_grad()
    def __init__(self, model: Nano, ids: list[int]):
        c, t = model.c, len(ids)
        group = c.num_attention_heads // c.num_key_value_heads
        later = torch.full((t, t), float("-inf")).triu(1)
        x = model.embed_tokens(torch.tensor([ids]))
        self.plain: list[Tensor] = []  # a layer: (T, K C) before RoPE
        self.queries: list[Tensor] = []  # a layer: (H, T, C) after it
        self.keys: list[Tensor] = []  # a layer: (K, T, C) after it
        self.mass: list[Tensor] = []  # a layer: (K, T, T), mean over the query heads of a KV head
        for block in model.layers:
            a = block.self_attn
            h = block.input_layernorm(x)
            k = a.k_proj(h)
            self.plain.append(k[0])
            q = rotate(a.q_proj(h).view(t, -1, c.head_dim).transpose(0, 1), model.cos[:t], model.sin[:t])
            k = rotate(k.view(t, -1, c.head_dim).transpose(0, 1), model.cos[:t], model.sin[:t])
            p = (q @ k.repeat_interleave(group, 0).transpose(1, 2) * c.head_dim**-0.5 + later).softmax(-1)
            self.queries.append(q)
            self.keys.append(k)
            self.mass.append(p.view(c.num_key_value_heads, group, t, t).mean(1))
            x = block(x, model.cos[:t], model.sin[:t])


def windows(keys: Tensor) -> Tensor:
    """(T, D) to (T - 2 w + 1, 2 w, D): the keys around the gaps before w .. T - w."""
    return keys.unfold(0, 2 * WINDOW, 1).transpose(1, 2)


def labels(one: Read) -> Tensor:
    """(T - 2 w + 1,) whether one side of a gap gets twice the attention of the other."""
    p = sum(one.mass).sum(0)  # (T, T)
    t = len(p)
    after = p.flip(0).cumsum(0).flip(0)  # [q, k]: mass on k from queries q and later
    gaps = torch.arange(WINDOW, t - WINDOW + 1)
    rows = (gaps + WINDOW).clamp_max(t - 1)[:, None]
    offsets = torch.arange(WINDOW)[None]
    left = after[rows, gaps[:, None] - WINDOW + offsets].sum(1)
    right = after[rows, gaps[:, None] + offsets].sum(1)
    return torch.maximum(left, right) >= 2 * torch.minimum(left, right)


def focal(logits: Tensor, wanted: Tensor) -> Tensor:
    p = torch.where(wanted, logits, -logits)
    weight = torch.where(wanted, POSITIVE, 1.0)
    return (-weight * (1 - p.sigmoid()) ** GAMMA * F.logsigmoid(p)).mean()


def similarity(keys: Tensor) -> Tensor:
    """The training-free score of every gap."""
    around = windows(keys)
    return 1 - F.cosine_similarity(around[:, :WINDOW].mean(1), around[:, WINDOW:].mean(1), dim=-1)


def peaks(scores: Tensor, threshold: float, length: int) -> list[int]:
    """First positions of the chunks: greedy suppression, at most one boundary for every 16 keys, one 64 keys before the end."""
    kept = [0, length - LAST_CHUNK]
    for i in scores.argsort(descending=True, stable=True).tolist():
        if scores[i] <= threshold or len(kept) - 1 >= length // KEYS_PER_BOUNDARY:
            break
        if all(abs(i + WINDOW - at) > RADIUS for at in kept):
            kept.append(i + WINDOW)
    return sorted(kept)


def retained(one: Read, starts: list[int], whole: bool) -> tuple[float, float]:
    """Share of the attention on keys that are not seen anyway which the choice keeps, and the share of
    those keys that it is: means over layers, KV heads and lists that choose some."""
    t = one.keys[0].shape[1]
    bounds = torch.tensor(starts + [t])
    length = bounds.diff().float()
    chunk = torch.repeat_interleave(torch.arange(len(starts)), bounds.diff())
    total, chance, count = 0.0, 0.0, 0
    for q, k, mass in zip(one.queries, one.keys, one.mass):
        group = q.shape[0] // k.shape[0]
        means = torch.stack([k[:, a:b].mean(1) for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist())], 1)  # (K, chunks, C)
        for first in range(0, t, LIST):
            end = min(first + LIST, t)
            local = max(0, first + 1 - LOCAL)
            left = math.ceil(SHARE * end) - min(SINKS, local) - (end - local)
            free = torch.arange(SINKS, max(SINKS, local))
            if left <= 0 or len(free) <= left:
                continue
            pool = first // QUERIES * QUERIES
            query = q[:, pool : min(pool + QUERIES, t)].mean(1).view(k.shape[0], group, -1).mean(1)
            scores = (means @ query[:, :, None])[..., 0] * length.sqrt()  # (K, chunks)
            for head in range(k.shape[0]):
                order = free[scores[head][chunk[free]].argsort(descending=True, stable=True)]
                if whole:
                    room, kept = left, []
                    for c in dict.fromkeys(chunk[order].tolist()):
                        part = order[chunk[order] == c]
                        if len(part) > room:
                            break
                        room -= len(part)
                        kept.append(part)
                    order = torch.cat(kept) if kept else order[:0]
                far = mass[head, first:end][:, SINKS:local].sum().item()
                total += mass[head, first:end][:, order[:left]].sum().item() / max(far, 1e-9)
                chance += left / len(free)
                count += 1
    return total / max(1, count), chance / max(1, count)


def append(source: Path, target: Path, predictor: Predictor, layer: int, threshold: float) -> None:
    """A copy of a GGUF with the predictor's tensors, in place of such as it may have."""
    file = gguf.GGUFReader(source)
    temporary = target.with_suffix(".part")
    out = gguf.GGUFWriter(temporary, file.fields["general.architecture"].contents())
    for name, field in file.fields.items():
        if name.startswith(("GGUF.", "octavo.boundary.")) or name == "general.architecture":
            continue
        sub = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        out.add_key_value(name, field.contents(), field.types[0], sub_type=sub)
    out.add_uint32("octavo.boundary.layer", layer)
    out.add_uint32("octavo.boundary.window", WINDOW)
    out.add_float32("octavo.boundary.threshold", threshold)
    for tensor in file.tensors:
        if not tensor.name.startswith("boundary."):
            out.add_tensor(tensor.name, np.array(tensor.data), raw_dtype=tensor.tensor_type)
    for name, value in predictor.state_dict().items():
        out.add_tensor(f"boundary.{name}", value.float().contiguous().numpy())
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    temporary.replace(target)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, help="default: tokenizer.json beside the model")
    parser.add_argument("--out", type=Path, help="default: the model itself; '-' as its name: nothing is written")
    parser.add_argument("--layer", type=int, default=0)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--documents", type=int, default=160)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    model = load(args.model)
    codec = Codec(args.tokenizer or args.model.with_name("tokenizer.json"))

    def document(name: str, length: int, held_out: bool) -> Read:
        r = Random(f"boundaries/{args.seed}/{name}")
        while True:
            text = make_document(r, int(0.8 * length), r.choice((0.08, 0.25, 1.0)), codec.count, held_out)
            ids, _ = sequence(r, codec, text, length, 0.07)
            if len(ids) > length // 2:
                return Read(model, ids)

    x, y = [], []
    for n in range(args.documents):
        one = document(f"train/{n}", args.length, False)
        x.append(windows(one.plain[args.layer].detach()).clone())
        y.append(labels(one))
    x, y = torch.cat(x), torch.cat(y)
    print(f"{len(y)} gaps of {args.documents} documents, {y.float().mean():.3f} positive, keys of layer {args.layer}", flush=True)

    predictor = Predictor(x.shape[2], args.hidden)
    optimiser = torch.optim.Adam(predictor.parameters(), lr=args.rate)
    for step in range(args.steps):
        some = torch.randint(len(y), (512,))
        loss = focal(predictor(x[some]), y[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if (step + 1) % 200 == 0:
            print(f"step {step + 1}: loss {loss.item():.4f}", flush=True)

    held = [document(f"test/{n}", 2 * args.length, True) for n in range(8)]
    with torch.no_grad():
        logits = [predictor(windows(one.plain[args.layer])) for one in held]
    hit = torch.cat([(p > 0) == labels(one) for p, one in zip(logits, held)]).float().mean()
    base = torch.cat([labels(one) for one in held]).float().mean()
    print(f"held out: {hit:.3f} of the gaps right, {max(base, 1 - base):.3f} for always the commoner answer")

    def mean(starts_of, whole: bool = False, which: int = 0) -> float:
        return float(np.mean([retained(one, starts_of(i, one.keys[0].shape[1]), whole)[which] for i, one in enumerate(held)]))

    def fixed(i: int, t: int) -> list[int]:
        return list(range(0, t, 32))

    print(f"far attention kept at {SHARE:.0%} of the keys: by chance {mean(fixed, True, 1):.4f}, blocks of 32 {mean(fixed, True):.4f}")
    for layer in range(len(held[0].plain)):
        scores = [similarity(one.plain[layer]) for one in held]
        print(f"  training-free, layer {layer}: {mean(lambda i, t: peaks(scores[i], 0, t)):.4f}")
    table = {}
    for threshold in (0.0, 0.3, 0.4, 0.5, 0.6):
        table[threshold] = mean(lambda i, t: peaks(logits[i].sigmoid(), threshold, t))
        print(f"  learned, threshold {threshold}: {table[threshold]:.4f}")
    best = max(table, key=table.__getitem__)
    target = args.out or args.model
    if target.name == "-":
        return
    append(args.model, target, predictor, args.layer, best)
    print(f"{target}: {target.stat().st_size} bytes, threshold {best}")


if __name__ == "__main__":
    main()
