"""Train nano's parts together, resumably, in one of the stages of STAGES: paint, edit, see, documents; and look at collages.

    python patches.py --out ../runs/patches.pt
    python train_joint.py --stage joint --out ../runs/joint --minutes 97 --from ../runs/text.gguf --patches ../runs/patches.pt
    python train_joint.py --stage seeing --out ../runs/seeing --minutes 90 --from ../../models/nano/nano.gguf \\
        --tower ../runs/tower/tower.pt --drawings ../runs/drawings
    python train_joint.py --stage gallery --out ../runs/gallery --minutes 240 --from ../runs/settled/nano.gguf --patches gallery.pt --drawings ../runs/drawings

`--from` is a GGUF of the text half alone or of the whole model, which then brings its own patches. Each
step is of one task, drawn by the stage's weights; the schedule runs on training time, as in train.py.
"""

import argparse
import csv
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

import batches
import gallery_batches
import looking
import picture_batches as pb
import tasks
import visual_tokens
import vocabulary
from batches import Codec
from diffusion import Schedule, losses
from export import load, read
from feed import Feed
from growth import grown
from machine import Clock, add_clock_arguments, autocast, choose_device, save
from model import Config, deepened, layers_of
from optimiser import Muon
from patches import to_float
from tower import TowerConfig
from train import CLIP, TEXT_WEIGHT, learning_rate
from unipic import GALLERY, PictureConfig, UniPic

COPIES = 4  # noises for each token
SHARED = ("lm.", "proj_in.", "mar.z_proj", "mar.encoder", "mar.fake_latent", "siglip2")  # what answers depend on
PICTURE_HALF = ("mar.", "proj_", "vae.")
LOWER_TOWER = ("siglip2.embeddings.", *(f"siglip2.encoder.layers.{i}." for i in range(3)))  # all but its last block
PLACES_WEIGHT, NAMES_WEIGHT = 1.0, 0.5  # of what visual tokens tell (visual_tokens.py) in the loss of looking
PLACES_PICTURES = 256  # that install_places fits to
FIRST = 0.3
EMA = 0.999
LOG, SAVE_SECONDS = 100, 180


@dataclass(frozen=True)
class Stage:
    """A run's tasks and how fast which parts learn. Rates of parts are of the learning rate, by the beginning of their names."""

    steps: dict[str, int]  # weights of the tasks, in steps
    rows: dict[str, int]
    lr: float
    decay: float  # share of the run in which the rate falls to zero
    rates: dict[str, float] = field(default_factory=lambda: {"lm.": 0.5})
    grown: bool = False  # starts with what the model can already do, instead of with one object
    edits: dict[str, int] = field(default_factory=lambda: tasks.EDITS)
    frozen: tuple[str, ...] = ()
    picture: PictureConfig = PictureConfig()
    absent: float = batches.ABSENT_SHARE  # of a document's questions: what it does not say
    linked: float = 0.0  # about two facts, and follow-ups
    anew: tuple[str, ...] = ()  # parts that are not taken from --from
    places: bool = False  # begins by making visual tokens tell their places
    enlarged: float = 0.0  # share of pictures to look at that are the gallery's
    first: dict[str, int] = field(default_factory=dict)  # the weights of the tasks until FIRST of the run, where they differ


MORE = {"cpu": 1, "cuda": 4}  # times the rows of a step, of all tasks but text
ROWS = {"paint": 80, "edit": 64, "see": 40}
STAGES = {
    "joint": Stage({"paint": 40, "edit": 38, "see": 12, "text": 10}, ROWS, 1.5e-3, 0.45),
    # Only what painting and editing have for themselves: answers stay as they are.
    "painting": Stage({"paint": 30, "edit": 70}, ROWS, 8e-4, 0.6, grown=True, edits={"recolour": 45, "remove": 20, "move": 20, "add": 15}, frozen=SHARED),
    # Collages by the tower, which stays as it is and so costs a third; the rest is kept up, for the language model changes under it.
    "seeing": Stage({"look": 60, "text": 15, "paint": 9, "edit": 12, "see": 4}, {"paint": 40, "edit": 32, "see": 40, "look": 24}, 1e-3, 0.5,
                    {"lm.": 0.5, "mar.": 0.3, "proj_": 0.3}, grown=True, frozen=("siglip2.",), absent=0.12, linked=0.1),
    # The tower's last block learns to keep places, which it has forgotten while it learnt to name patches.
    "settling": Stage({"look": 70, "text": 12, "see": 6, "paint": 5, "edit": 7}, {"paint": 40, "edit": 32, "see": 40, "look": 24}, 1.5e-3, 0.7,
                      {"lm.": 0.9, "mar.": 0.3, "proj_": 0.3}, grown=True, absent=0.12, linked=0.1,
                      frozen=LOWER_TOWER, places=True),
    # The gallery's picture half by itself, beside settling: what it learns of drawings outlasts the changes of the language model (--pictures).
    "drawing": Stage({"draw": 52, "redraw": 48}, {"draw": 48, "redraw": 32}, 1.5e-3, 0.15, grown=True, picture=GALLERY, frozen=("lm.", "siglip2"), anew=("vae.",)),
    # The gallery's 64 pixels instead of the small world's 32: the picture half grows (growth.py), by an image tokenizer that --patches brings;
    # looking is kept up, also at what is painted.
    "gallery": Stage({"draw": 40, "redraw": 38, "look": 16, "text": 6}, {"draw": 48, "redraw": 32, "look": 24}, 1.5e-3, 0.5,
                     {"lm.": 0.4, "siglip2": 0.2}, grown=True, frozen=LOWER_TOWER, absent=0.12, linked=0.1, picture=GALLERY, anew=("vae.",), enlarged=0.4),
    # What the gallery has cost is learned back, and letters, which the tower did not know: all of it learns, first by the labels of patches, mostly.
    "looking": Stage({"look": 58, "name": 12, "draw": 10, "redraw": 12, "text": 8}, {"draw": 48, "redraw": 32, "look": 24, "name": 24}, 1.2e-3, 0.6,
                     {"lm.": 0.6, "mar.": 0.3, "proj_": 0.3}, grown=True, absent=0.12, linked=0.1, picture=GALLERY, anew=("vae.",), enlarged=0.4,
                     first={"look": 12, "name": 80, "draw": 2, "redraw": 3, "text": 3}),
}


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
    t = torch.randint(c.train_steps, (len(x0),), device=x0.device)
    noise = torch.randn_like(x0)
    x = schedule.alpha[t].float()[:, None] * x0 + schedule.sigma[t].float()[:, None] * noise
    output = model.mar.diffloss["net"](x, t, z, COPIES)
    error, bound = losses(output, x0, noise, t, schedule)
    return ((error + bound) * weight).sum() / weight.sum(), error.detach().mean()


def told_loss(model: UniPic, visual: Tensor, labels: Tensor, names: list[list[int]]) -> tuple[Tensor, Tensor]:
    """What visual tokens shall tell: places, and the names of what they show (`names`: the tokens of each label); and the share of names that are right."""
    named, right = visual_tokens.names_loss(visual, labels, names, model.lm.embed_tokens.weight)
    return PLACES_WEIGHT * visual_tokens.places_loss(visual, model.siglip2.c) + NAMES_WEIGHT * named, right


def answer_loss(model: UniPic, batch: pb.Questions, names: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Cross entropy of the answers and the share of their tokens that are right. Pictures of pixels go by the tower, whose tokens also learn to tell places and names; of tokens by the MAR encoder."""
    if batch.kept is None:
        hidden, told = model.see(batch.rows, batch.pictures), 0.0
    else:
        visual = model.siglip2_proj(model.siglip2(batch.pictures)).float()
        hidden = model.look(batch.rows, visual, batch.kept)
        told, _ = told_loss(model, visual, batch.labels, names)
    logits = model.lm.logits(hidden.reshape(-1, hidden.shape[-1])[batch.answers]).float()
    return F.cross_entropy(logits, batch.targets) + told, (logits.argmax(-1) == batch.targets).float().mean()


def text_loss(model: UniPic, batch: batches.Batch) -> tuple[Tensor, Tensor]:
    hidden = model.lm(batch.ids).reshape(-1, model.lm.c.hidden_size)
    where = torch.cat([batch.answers, batch.text])
    logits = model.lm.logits(hidden[where]).float()
    expected = batch.ids.reshape(-1)[where + 1]
    each = F.cross_entropy(logits, expected, reduction="none")
    a = len(batch.answers)
    return each[:a].mean() + TEXT_WEIGHT * each[a:].mean(), (logits[:a].argmax(-1) == expected[:a]).float().mean()


def build_optimisers(model: UniPic, stage: Stage) -> list[torch.optim.Optimizer]:
    """Muon for hidden matrices, AdamW for the rest; a group for each of the stage's rates."""
    tables = ("embed_tokens", "pos_embed", "fake_latent", "mask_token", "z_proj", "input_proj", "final_layer.linear", "embeddings.")
    groups: dict[tuple[bool, float], list[Tensor]] = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            rate = next((rate for start, rate in stage.rates.items() if name.startswith(start)), 1.0)
            groups.setdefault((p.ndim == 2 and not any(t in name for t in tables), rate), []).append(p)
    def of(hidden: bool) -> list[dict]:
        return [{"params": p, "scale": rate} for (h, rate), p in groups.items() if h == hidden]

    return [Muon(of(True), stage.lr), torch.optim.AdamW(of(False), stage.lr, betas=(0.9, 0.95), weight_decay=0.0)]


class Steps:
    """The maker of a stage's batches (feed.py): the task of a step and its batch."""

    def __init__(self, name: str, seed: int, more: int, tokenizer: str, placeholders: int, table: pb.Table | gallery_batches.Table, drawings: Path | None):
        self.name, self.seed, self.more, self.tokenizer = name, seed, more, tokenizer
        self.placeholders, self.table, self.drawings = placeholders, table, drawings
        self.frames: pb.Frames | None = None
        self.collages: looking.Collages | None = None

    def begin(self) -> tuple[pb.Frames, looking.Collages | None]:
        if self.frames is None:
            codec = Codec.of(Tokenizer.from_str(self.tokenizer))
            self.frames = pb.Frames(codec, self.placeholders)
            self.collages = looking.Collages(codec, self.drawings, enlarged=STAGES[self.name].enlarged) if self.drawings else None
        return self.frames, self.collages

    def __call__(self, step: int, progress: float) -> tuple[str, pb.Pictures | pb.Questions | looking.Labelled | batches.Batch]:
        frames, collages = self.begin()
        stage, r = STAGES[self.name], Random(f"{self.name}/{self.seed}/{step}")
        weights = stage.first if stage.first and progress < FIRST else stage.steps
        task = r.choices(list(weights), list(weights.values()))[0]
        if stage.grown:
            progress = 1.0
        rows = self.more * stage.rows.get(task, 0)
        match task:
            case "paint":
                return task, pb.painting(r, frames, self.table, progress, rows)
            case "draw":
                return task, gallery_batches.painting(r, frames, self.table, progress, rows)
            case "redraw":
                return task, gallery_batches.editing(r, frames, self.table, progress, rows)
            case "edit":
                return task, pb.editing(r, frames, self.table, progress, rows, stage.edits)
            case "see":
                return task, pb.seeing(r, frames, self.table, progress, rows)
            case "look":
                assert collages is not None
                return task, collages.batch(r, rows)
            case "name":
                assert collages is not None
                return task, collages.labelled(r, rows)
            case _:
                return task, batches.make_batch(frames.codec, self.seed + 1000, step, 1.0, stage.absent, stage.linked)


def start_model(args: argparse.Namespace, stage: Stage, codec: Codec) -> UniPic:
    """The weights of --from, --patches and --tower. Words that --from does not know begin as the mean of the pieces they were."""
    state = read(args.start)
    if "lm.embed_tokens.weight" not in state:  # the text half alone
        state = {f"lm.{name}": p for name, p in state.items()}
    state = {name: p for name, p in state.items() if not name.startswith(stage.anew)}
    if args.pictures:
        state |= {name: p for name, p in read(args.pictures).items() if name.startswith(PICTURE_HALF)}
    if args.patches:
        state |= {f"vae.{name}": p for name, p in torch.load(args.patches, weights_only=True, map_location="cpu").items()}
    tower, before = None, load(args.pictures or args.start) if "mar.z_proj.weight" in state else None
    if args.tower:
        saved = torch.load(args.tower, weights_only=True, map_location="cpu")
        tower = TowerConfig(**saved["tower"])
        state = {f"siglip2.{name}": p.float() for name, p in saved["weights"].items()} | state
    elif any(name.startswith("siglip2.") for name in state):
        tower = load(args.start).siglip2.c
    table, known = state["lm.embed_tokens.weight"], Codec.beside(args.start).tokenizer
    rows = [known.encode(codec.tokenizer.decode([i])).ids or [0] for i in range(len(table), codec.tokenizer.get_vocab_size())]
    state["lm.embed_tokens.weight"] = torch.cat([table, *(table[ids].mean(0, keepdim=True) for ids in rows)])
    if args.layers:
        state = deepened(state, args.layers)
    model = UniPic(Config(vocab_size=codec.tokenizer.get_vocab_size(), num_hidden_layers=layers_of(state)), stage.picture, tower)
    if before and before.c.sizes != stage.picture.sizes:
        state |= grown(state, before.c, model.state_dict(), stage.picture)
    found = model.load_state_dict(state, strict=False)
    fresh = ("mar.", "proj_", "siglip2_proj.")  # what may begin at random
    lacking = [name for name in found.missing_keys if not name.startswith(fresh)]
    if lacking or found.unexpected_keys:
        raise SystemExit(f"{args.start}: lacks {lacking}, has too much {found.unexpected_keys}")
    return model


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--from", dest="start", type=Path, required=True, help="GGUF to start from")
    parser.add_argument("--pictures", type=Path, help="GGUF whose picture half takes the place of that of --from")
    parser.add_argument("--patches", type=Path, help="weights of patches.py, when --from has none")
    parser.add_argument("--tower", type=Path, help="tower.pt of train_tower.py, when --from has no tower")
    parser.add_argument("--drawings", type=Path, help="folder of rasterise.mjs, for the stages seeing and gallery")
    parser.add_argument("--layers", type=int, help="decoder layers, when more than --from has")
    parser.add_argument("--seed", type=int, default=1)
    add_clock_arguments(parser)
    args = parser.parse_args()
    stage = STAGES[args.stage]
    named = "look" in stage.steps or "draw" in stage.steps  # a stage of drawings needs their names in the vocabulary
    if named and not args.drawings:
        parser.error(f"the stage {args.stage} needs --drawings")
    device = choose_device()
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    codec = Codec.of(vocabulary.build()) if named else Codec()
    model = start_model(args, stage, codec)
    table = gallery_batches.Table(model.vae, args.drawings) if "draw" in stage.steps else pb.Table(model.vae)
    if stage.places:
        r, shown = Random(f"places/{args.seed}"), looking.Collages(codec, args.drawings)
        visual_tokens.install_places(model, to_float(np.stack([shown.draw(r)[0] for _ in range(PLACES_PICTURES)])))
    model.to(device)
    torch.set_default_device(device)  # of what the model makes; batches come by the feed
    for name, p in model.named_parameters():
        if name.startswith(stage.frozen):
            p.requires_grad_(False)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    average = {n: p.detach().clone() for n, p in trained.items()}
    optimisers = build_optimisers(model, stage)
    clock, step, spent = Clock(device, args.minutes, args.until), 0, dict.fromkeys(stage.steps, 0)
    checkpoint = args.out / "last.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        model.load_state_dict(state["model"])
        average = state["average"]
        for o, s in zip(optimisers, state["optimisers"]):
            scales = [group["scale"] for group in o.param_groups]  # the constants of now, not of the checkpoint
            o.load_state_dict(s)
            for group, scale in zip(o.param_groups, scales):
                group["scale"] = scale
        step, clock.seconds, spent = state["step"], state["seconds"], state["spent"]
        torch.set_rng_state(state["random"].cpu())
    feed = Feed(Steps(args.stage, args.seed, MORE[device.type], codec.tokenizer.to_str(), model.c.tokens + model.c.buffer_count,
                      table, args.drawings if named else None), device, args.workers)
    schedule, names = Schedule(model.c.train_steps, model.c.max_beta), visual_tokens.name_ids(codec)
    log = csv.writer((args.out / "log.csv").open("a", buffering=1))
    print(sum(p.numel() for p in trained.values()), "trained parameters on", device, "from step", step, flush=True)

    def keep() -> None:
        save(checkpoint, config=model.lm.c.to_dict(), picture=model.c.to_dict(), tower=model.siglip2.c.to_dict() if hasattr(model, "siglip2") else None,
             tokenizer=codec.tokenizer.to_str() if named else None, model=model.state_dict(), average=average,
             optimisers=[o.state_dict() for o in optimisers], step=step, seconds=clock.seconds, spent=spent, random=torch.get_rng_state())

    sums: dict[str, list[float]] = {task: [0.0] * 4 for task in stage.steps}
    kept_at = clock.seconds
    clock.start()
    while clock.running:
        lr = learning_rate(clock.progress, stage.lr, stage.decay)
        task, batch = feed.get(step, clock.progress)
        with autocast(device):
            if isinstance(batch, pb.Pictures):
                loss, figure = picture_loss(model, batch, Random(f"masks/{args.seed}/{step}"), schedule)
            elif isinstance(batch, pb.Questions):
                loss, figure = answer_loss(model, batch, names)
            elif isinstance(batch, looking.Labelled):
                loss, figure = told_loss(model, model.siglip2_proj(model.siglip2(batch.pictures)).float(), batch.labels, names)
            else:
                loss, figure = text_loss(model, batch)
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
        took = clock.tick()
        spent[task] += 1
        sums[task] = [a + b for a, b in zip(sums[task], (1, figure.item(), norm.item(), took))]
        if step % LOG == 0:
            row = [step, round(clock.seconds), f"{lr:.2e}"]
            for name, (n, *totals) in sums.items():
                row += [name, int(n), *(f"{x / max(n, 1):.4f}" for x in totals)]
            log.writerow(row)
            print(*row, flush=True)
            sums = {name: [0.0] * 4 for name in stage.steps}
        if clock.seconds - kept_at > SAVE_SECONDS:
            keep()
            kept_at = clock.seconds
    keep()
    feed.close()
    print("stopped at step", step, spent, "after", round(clock.seconds), "seconds of training", flush=True)


if __name__ == "__main__":
    main()
