"""What a Hadamard rotation before quantising would gain, on real GGUF files (`npm run models`), and which heads have outliers.

    python training/parity/kv_rotation.py MODEL --text FILE [--from TEXT] [--tokens N] [--only NAME,...]

Simulates Octavo's closed pages (assembly/kv/layout.ts) in PyTorch on the dequantised weights: the keys of 32 tokens by channel, the values of a token by
32 channels, with f16 scales and minima; tokens are closed by 128. `k` and `v` rotate keys and values of each head by a normalised Hadamard matrix (of
blocks of the largest power of two that divides the head) before they are quantised; queries see the same as if they were rotated, too. Prints one line of
JSON a layer: of each head the largest absolute key (and value), and their root mean square. Then one a configuration: bits of keys and values, what is
rotated, nats a token, the share of perplexity that it costs with its standard error in nats, and the mean divergence (Kullback and Leibler) of the
predictions from those with uncompressed pages, which tells configurations apart with fewer tokens.
"""

import argparse
import json
import math

import torch
from transformers import AttentionInterface

from real import load, windows

PAGE = 32
CLOSED = 128
WINDOW = 512

CONFIGURATIONS = {
    f"k{keys}v{values}" + (f"-{rotate}" if rotate else ""): (keys, values, rotate)
    for keys, values in ((8, 4), (4, 4), (4, 2), (2, 2))
    for rotate in ("", "k", "v", "kv")
}

state = {"bits": (16, 16), "rotate": "", "outliers": None}


def hadamard(d: int) -> torch.Tensor:
    """[d, d], orthonormal: blocks of the largest power of two that divides d."""
    size = d & -d
    h = torch.ones(1, 1)
    while h.shape[0] < size:
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)])
    return torch.block_diag(*[h / math.sqrt(size)] * (d // size))


def quantised(x: torch.Tensor, bits: int, dim: int) -> torch.Tensor:
    """x in groups along `dim`, asymmetric, with scale and minimum in f16."""
    low, high = x.amin(dim, keepdim=True), x.amax(dim, keepdim=True)
    scale = ((high - low) / (2**bits - 1)).half().float()
    minimum = low.half().float()
    u = torch.where(scale > 0, ((x - minimum) / scale + 0.5).floor().clamp(0, 2**bits - 1), 0)
    return minimum + scale * u


def closed_keys(k: torch.Tensor, bits: int) -> torch.Tensor:
    b, h, t, d = k.shape
    whole = t - t % PAGE
    pages = quantised(k[:, :, :whole].reshape(b, h, whole // PAGE, PAGE, d), bits, 3).reshape(b, h, whole, d)
    return torch.cat([pages, k[:, :, whole:]], 2)


def closed_values(v: torch.Tensor, bits: int) -> torch.Tensor:
    return torch.cat([quantised(part, bits, 3) for part in v.split(32, 3)], 3)


def attention(module, query, key, value, attention_mask, scaling, dropout=0.0, **_):
    groups = query.shape[1] // key.shape[1]
    d, t = key.shape[3], key.shape[2]
    if state["outliers"] is not None:
        peak = lambda x: (x.abs().amax((0, 2, 3)), x.square().mean((0, 2, 3)).sqrt())
        state["outliers"].append([[tuple(round(float(n), 2) for n in pair) for pair in zip(*peak(x))] for x in (key, value)])
    k_bits, v_bits = state["bits"]
    if k_bits == 16:
        far_keys, far_values = key, value
    else:
        h = hadamard(d)
        far_keys = closed_keys(key @ h, k_bits) @ h.T if "k" in state["rotate"] else closed_keys(key, k_bits)
        far_values = closed_values(value @ h, v_bits) @ h.T if "v" in state["rotate"] else closed_values(value, v_bits)
    repeated = lambda x: x.repeat_interleave(groups, 1)
    at = torch.arange(t)
    far = at[None, :] < (at - at % CLOSED)[:, None]
    scores = torch.where(far, query @ repeated(far_keys).transpose(2, 3), query @ repeated(key).transpose(2, 3)) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask[:, :, :, :t]
    else:
        scores = scores.masked_fill(at[None, :] > at[:, None], -math.inf)
    weights = scores.softmax(-1)
    out = (weights * far) @ repeated(far_values) + (weights * ~far) @ repeated(value)
    return out.transpose(1, 2).contiguous(), weights


@torch.no_grad()
def scored(model, piece: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities [tokens, vocabulary] behind the tokens that see closed pages, and those of the ids that follow."""
    logits = model(torch.tensor([piece]), use_cache=False).logits[0, CLOSED - 1 : -1]
    found = logits.log_softmax(-1)
    return found, found.gather(1, torch.tensor(piece[CLOSED:])[:, None])[:, 0].double()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--text", required=True)
    parser.add_argument("--from", dest="start", default="")
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    with open(args.text, encoding="utf8") as file:
        text = file.read()
    text = text[text.index(args.start) :][: 8 * args.tokens]
    _, tokenizer, model = load(args.model)
    AttentionInterface.register("closed", attention)
    model.set_attn_implementation("closed")
    ids = tokenizer(text, add_special_tokens=False).input_ids[: args.tokens]
    bos = tokenizer.bos_token_id if tokenizer("a").input_ids[0] == tokenizer.bos_token_id else None
    pieces = windows(ids, WINDOW, bos)
    wanted = [name for name in CONFIGURATIONS if not args.only or name in args.only.split(",")]
    lost = {name: [] for name in wanted}
    divergence = {name: [] for name in wanted}
    total = []
    for number, piece in enumerate(pieces):
        state.update(bits=(16, 16), rotate="", outliers=[] if number == 0 else None)
        base, base_nats = scored(model, piece)
        total.append(base_nats)
        for layer, (keys, values) in enumerate(state["outliers"] or []):
            print(json.dumps({"model": args.model, "layer": layer, "keys": keys, "values": values}), flush=True)
        state["outliers"] = None
        for name in wanted:
            keys, values, rotate = CONFIGURATIONS[name]
            state.update(bits=(keys, values), rotate=rotate)
            found, found_nats = scored(model, piece)
            lost[name].append(base_nats - found_nats)
            divergence[name].append((base.exp() * (base - found)).sum(-1).double())
            del found
    for name in wanted:
        keys, values, rotate = CONFIGURATIONS[name]
        differences, kl = torch.cat(lost[name]), torch.cat(divergence[name])
        print(
            json.dumps(
                {
                    "model": args.model,
                    "keys": keys,
                    "values": values,
                    "rotated": rotate,
                    "tokens": len(differences),
                    "nats": round(float(-torch.cat(total).mean() + differences.mean()), 5),
                    "cost": round(math.expm1(float(differences.mean())), 5),
                    "error": round(float(differences.std() / math.sqrt(len(differences))), 5),
                    "divergence": round(float(kl.mean()), 6),
                    "divergence_error": round(float(kl.std() / math.sqrt(len(kl))), 6),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
