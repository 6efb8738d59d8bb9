"""Train nano's language model on generated documents, on one CPU thread, resumably.

    python train.py --out ../runs/text --minutes 70
    python train.py --out ../runs/reading --minutes 60 --from ../../models/nano/nano.gguf --layers 6 --lr 1e-3 --decay 0.6

With --from it goes on from a file's language model, with everyday clauses beside the facts, questions about two facts, follow-ups and more questions that
the document does not answer.

The schedule runs on training time (the sum of the seconds of all steps, kept in the checkpoint), so a
run ends when it should on a busy machine, and a stopped process can be resumed by the same command.
"""

import argparse
import csv
import time
from pathlib import Path

import torch
from torch.nn import functional as F

import optimiser
from batches import Codec, make_batch
from export import read, text_half
from machine import autocast, choose_device
from model import Config, Nano, deepened, layers_of

TEXT_WEIGHT = 0.2  # of the language-model loss beside the loss on answers
CLAUSES = 0.6  # of the facts of a document that are everyday clauses, when a run goes on from a file
PLAIN = 0.4  # of the documents that have no clauses then
READING_LENGTHS = {256: 2, 512: 3, 1024: 3, 2560: 2}  # of rows then
CLIP = 1.0


def learning_rate(progress: float, peak: float, decay: float) -> float:
    """Warm-up over the first 1 %, constant, then linear to zero over the last share `decay`."""
    return peak * min(1.0, (progress + 1e-3) / 0.01, max(0.0, (1 - progress) / decay))


def save(path: Path, model, optimisers, step: int, seconds: float, tokens: int) -> None:
    state = {
        "config": model.c.to_dict(), "model": model.state_dict(), "optimisers": [o.state_dict() for o in optimisers],
        "step": step, "seconds": seconds, "tokens": tokens, "random": torch.get_rng_state(),
    }
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").rename(path)


def start_model(path: Path, layers: int | None) -> Nano:
    """The language model of a GGUF."""
    state = text_half(read(path))
    if layers:
        state = deepened(state, layers, "layers.")
    model = Nano(Config(vocab_size=len(state["embed_tokens.weight"]), num_hidden_layers=layers_of(state, "layers.")))
    model.load_state_dict(state)
    return model


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="training time of the whole run")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.45)
    parser.add_argument("--from", dest="start", type=Path, help="GGUF to go on from")
    parser.add_argument("--layers", type=int, help="decoder layers, when more than --from has")
    parser.add_argument("--absent", type=float, default=0.12, help="share of the questions without an answer, with --from")
    parser.add_argument("--linked", type=float, default=0.1, help="share of the questions about two facts, and of those that follow up another one, with --from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="torch.compile: a quarter faster, a minute a shape at first")
    args = parser.parse_args()

    device = choose_device()
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    codec = Codec()
    model = start_model(args.start, args.layers) if args.start else Nano(Config(vocab_size=codec.tokenizer.get_vocab_size()))
    optimisers = optimiser.build(model, args.lr)
    step, seconds, tokens = 0, 0.0, 0
    checkpoint = args.out / "last.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        for o, s in zip(optimisers, state["optimisers"]):
            o.load_state_dict(s)
        step, seconds, tokens = state["step"], state["seconds"], state["tokens"]
        torch.set_rng_state(state["random"])
    forward = torch.compile(model, dynamic=False) if args.compile else model
    log = csv.writer((args.out / "log.csv").open("a", buffering=1))
    print(sum(p.numel() for p in model.parameters()), "parameters; from step", step, flush=True)

    sums, since_save = [0.0] * 5, 0.0
    while (progress := seconds / (args.minutes * 60)) < 1:
        start = time.monotonic()
        lr = learning_rate(progress, args.lr, args.decay)
        batch = make_batch(codec, args.seed, step, 1.0, args.absent, args.linked, CLAUSES, PLAIN, READING_LENGTHS) if args.start else make_batch(codec, args.seed, step, progress)
        with autocast(device):
            hidden = forward(batch.ids).reshape(-1, model.c.hidden_size)
            where = torch.cat([batch.answers, batch.text])
            logits = model.logits(hidden[where]).float()
        losses = F.cross_entropy(logits, batch.ids.reshape(-1)[where + 1], reduction="none")
        a = len(batch.answers)
        loss = losses[:a].mean() + TEXT_WEIGHT * losses[a:].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for o in optimisers:
            for group in o.param_groups:
                group["lr"] = lr
            o.step()
            o.zero_grad()
        step += 1
        tokens += batch.ids.numel()
        right = (logits[:a].argmax(-1) == batch.ids.reshape(-1)[batch.answers + 1]).float().mean().item()
        # A step that was stopped from outside (a suspended process) must not eat the schedule.
        took = min(time.monotonic() - start, 20.0)
        seconds += took
        since_save += took
        sums = [x + y for x, y in zip(sums, (1, losses[:a].mean().item(), losses[a:].mean().item(), right, took))]
        if step % 20 == 0:
            n = sums[0]
            row = [step, tokens, round(seconds), batch.ids.shape[1], f"{lr:.2e}", *(f"{x / n:.4f}" for x in sums[1:4]), f"{sums[4] / n:.2f}"]
            log.writerow(row)
            print(*row, flush=True)
            sums = [0.0] * 5
        if since_save > 120:
            save(checkpoint, model, optimisers, step, seconds, tokens)
            since_save = 0.0
    save(checkpoint, model, optimisers, step, seconds, tokens)
    print("done", step, tokens, round(seconds), flush=True)


if __name__ == "__main__":
    main()
