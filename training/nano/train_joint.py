"""Train nano's two halves together, on one CPU thread, resumably: paint, edit, see, documents.

    python patches.py --out ../runs/patches.pt
    python train_joint.py --out ../runs/joint --minutes 95 --from ../../models/nano/nano.gguf --patches ../runs/patches.pt

`--from` is a GGUF of the text half alone or of the whole model, which then brings its own patches. Each
step is of one task, drawn by STEPS; the schedule runs on training time, as in train.py.
"""

import argparse
import csv
import time
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn import functional as F

import batches
import picture_batches as pb
import tasks
from batches import Codec
from diffusion import Schedule, losses
from export import read
from model import Config
from optimiser import Muon
from train import CLIP, TEXT_WEIGHT, learning_rate
from unipic import PictureConfig, UniPic

STEPS = {"paint": 40, "edit": 38, "see": 12, "text": 10}  # weights of the tasks, in steps
ROWS = {"paint": 80, "edit": 64, "see": 40}
COPIES = 4  # noises for each token
PAINTING_STEPS, PAINTING_EDITS = {"paint": 30, "edit": 70}, {"recolour": 45, "remove": 20, "move": 20, "add": 15}  # with --painting
SHARED = ("lm.", "proj_in.", "mar.z_proj", "mar.encoder", "mar.fake_latent")  # what answers depend on
LM_RATE = 0.5  # of the learning rate, for the warm-started language model
EMA = 0.999


def mask_ratio(r: Random) -> float:
    """Half of the time 1, so that the words alone must say what goes where; else normal (1, .25), truncated to [.3, 1]."""
    if r.random() < 0.5:
        return 1.0
    while not 0.3 <= (x := r.gauss(1, 0.25)) <= 1:
        pass
    return x


def picture_loss(model: UniPic, batch: pb.Pictures, r: Random, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """Weighted loss and the plain mean square of v."""
    c, rows = model.c, len(batch.prompts)
    known_count = c.tokens - max(1, round(c.tokens * mask_ratio(r)))
    order = torch.rand(rows, c.tokens).argsort(1)
    known, hidden = order[:, :known_count].sort(1).values, order[:, known_count:]
    z = model.condition(batch.prompts, pb.noised(batch.target), known, batch.source)
    z = z.gather(1, hidden[..., None].expand(-1, -1, z.shape[-1])).reshape(-1, z.shape[-1])
    x0 = batch.target.gather(1, hidden[..., None].expand(-1, -1, c.token_channels)).reshape(-1, c.token_channels).repeat(COPIES, 1)
    weight = batch.weight.gather(1, hidden).reshape(-1).repeat(COPIES)
    t = torch.randint(c.train_steps, (len(x0),))
    noise = torch.randn_like(x0)
    x = schedule.alpha[t].float()[:, None] * x0 + schedule.sigma[t].float()[:, None] * noise
    output = model.mar.diffloss["net"](x, t, z, COPIES)
    error, bound = losses(output, x0, noise, t, schedule)
    return ((error + bound) * weight).sum() / weight.sum(), error.detach().mean()


def answer_loss(model: UniPic, batch: pb.Questions) -> tuple[Tensor, Tensor]:
    """Cross entropy of the answers and the share of their tokens that are right."""
    hidden = model.see(batch.rows, batch.pictures)
    logits = model.lm.logits(hidden.reshape(-1, hidden.shape[-1])[batch.answers]).float()
    return F.cross_entropy(logits, batch.targets), (logits.argmax(-1) == batch.targets).float().mean()


def text_loss(model: UniPic, batch: batches.Batch) -> tuple[Tensor, Tensor]:
    hidden = model.lm(batch.ids).reshape(-1, model.lm.c.hidden_size)
    where = torch.cat([batch.answers, batch.text])
    logits = model.lm.logits(hidden[where]).float()
    expected = batch.ids.reshape(-1)[where + 1]
    each = F.cross_entropy(logits, expected, reduction="none")
    a = len(batch.answers)
    return each[:a].mean() + TEXT_WEIGHT * each[a:].mean(), (logits[:a].argmax(-1) == expected[:a]).float().mean()


def build_optimisers(model: UniPic, lr: float) -> list[torch.optim.Optimizer]:
    """Muon for hidden matrices, AdamW for the rest; the language model's groups go at LM_RATE."""
    tables = ("embed_tokens", "pos_embed", "fake_latent", "mask_token", "z_proj", "input_proj", "final_layer.linear")
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            groups.setdefault((p.ndim == 2 and not any(t in name for t in tables), name.startswith("lm.")), []).append(p)
    kinds = [(text, LM_RATE if text else 1.0) for text in (True, False) if (True, text) in groups]
    muon = Muon([{"params": groups[True, text], "scale": scale} for text, scale in kinds], lr)
    adam = torch.optim.AdamW([{"params": groups[False, text], "scale": scale} for text, scale in kinds], lr, betas=(0.9, 0.95), weight_decay=0.0)
    return [muon, adam]


def start_model(args: argparse.Namespace, codec: Codec) -> UniPic:
    model = UniPic(Config(vocab_size=codec.tokenizer.get_vocab_size()), PictureConfig())
    state = read(args.start)
    if any(name.startswith("mar.") for name in state):
        model.load_state_dict(state)
    else:
        model.lm.load_state_dict(state)
        model.vae.load_state_dict(torch.load(args.patches, weights_only=True))
    return model


def save(path: Path, **state) -> None:
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").rename(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="training time of the whole run")
    parser.add_argument("--from", dest="start", type=Path, required=True, help="GGUF to start from")
    parser.add_argument("--patches", type=Path, help="weights of patches.py, when --from has none")
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--decay", type=float, default=0.45)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--painting", action="store_true", help="train only what painting and editing have for themselves: answers stay as they are")
    args = parser.parse_args()
    weights = PAINTING_STEPS if args.painting else STEPS
    if args.painting:
        pb.OBJECTS = [(0.0, pb.OBJECTS[-1][1])]
        tasks.EDITS.update(PAINTING_EDITS)

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    codec = Codec()
    model = start_model(args, codec)
    for name, p in model.named_parameters():
        if args.painting and name.startswith(SHARED):
            p.requires_grad_(False)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    average = {n: p.detach().clone() for n, p in trained.items()}
    optimisers = build_optimisers(model, args.lr)
    step, seconds, spent = 0, 0.0, dict.fromkeys(STEPS, 0)
    checkpoint = args.out / "last.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        average = state["average"]
        for o, s in zip(optimisers, state["optimisers"]):
            o.load_state_dict(s)
            for group, text in zip(o.param_groups, (False,) if args.painting else (True, False)):
                group["scale"] = LM_RATE if text else 1.0  # the constant of now, not of the checkpoint
        step, seconds, spent = state["step"], state["seconds"], state["spent"]
        torch.set_rng_state(state["random"])
    frames = pb.Frames(codec, model.c.tokens + model.c.buffer_count)
    table = pb.Table(model.vae)
    schedule = Schedule(model.c.train_steps, model.c.max_beta)
    log = csv.writer((args.out / "log.csv").open("a", buffering=1))
    print(sum(p.numel() for p in trained.values()), "trained parameters; from step", step, flush=True)

    def keep() -> None:
        save(checkpoint, config=model.lm.c.to_dict(), picture=model.c.to_dict(), model=model.state_dict(), average=average,
             optimisers=[o.state_dict() for o in optimisers], step=step, seconds=seconds, spent=spent, random=torch.get_rng_state())

    sums: dict[str, list[float]] = {task: [0.0] * 4 for task in STEPS}
    since_save = 0.0
    while (progress := seconds / (args.minutes * 60)) < 1:
        start = time.monotonic()
        lr = learning_rate(progress, args.lr, args.decay)
        r = Random(f"joint/{args.seed}/{step}")
        task = r.choices(list(weights), list(weights.values()))[0]
        with torch.autocast("cpu", torch.bfloat16):
            match task:
                case "paint":
                    loss, figure = picture_loss(model, pb.painting(r, frames, table, progress, ROWS[task]), r, schedule)
                case "edit":
                    loss, figure = picture_loss(model, pb.editing(r, frames, table, progress, ROWS[task]), r, schedule)
                case "see":
                    loss, figure = answer_loss(model, pb.seeing(r, frames, table, progress, ROWS[task]))
                case _:
                    loss, figure = text_loss(model, batches.make_batch(codec, args.seed + 1000, step, 1.0))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), CLIP)
        for o in optimisers:
            for group in o.param_groups:
                group["lr"] = lr * group["scale"]
            o.step()
            o.zero_grad()
        step += 1
        decay = min(EMA, step / (step + 10))
        torch._foreach_lerp_(list(average.values()), [p.detach() for p in trained.values()], 1 - decay)
        # A step that was stopped from outside (a suspended process) must not eat the schedule.
        took = min(time.monotonic() - start, 20.0)
        seconds += took
        since_save += took
        spent[task] += 1
        sums[task] = [a + b for a, b in zip(sums[task], (1, figure.item(), norm.item(), took))]
        if step % 100 == 0:
            row = [step, round(seconds), f"{lr:.2e}"]
            for name, (n, *totals) in sums.items():
                row += [name, int(n), *(f"{x / max(n, 1):.4f}" for x in totals)]
            log.writerow(row)
            print(*row, flush=True)
            sums = {name: [0.0] * 4 for name in STEPS}
        if since_save > 120:
            keep()
            since_save = 0.0
    keep()
    print("done", step, spent, round(seconds), flush=True)


if __name__ == "__main__":
    main()
