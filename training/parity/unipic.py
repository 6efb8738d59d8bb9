"""Writes test/fixtures/unipic/: a tiny model of the UniPic graph as GGUF, and what PyTorch computes from it, stage by stage.

    python training/parity/unipic.py [test/fixtures/unipic]

model.gguf (F32), fixtures.safetensors (F32; README.md beside it says what each tensor is) and fixtures.json (texts, ids, orders).
Computed in f64; the same in f32 is compared, so that the room which f32 needs is known (`f32` in fixtures.json: NMSE by group).
How the script was checked against the public sources of UniPic, Harmon and MAR: test/fixtures/unipic/README.md.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent / "convert"))

import gguf_file
import tensors
from models import TEMPLATES
from unipic_diffusion import COLUMNS, Sampling, sample, schedule, spaced_steps
from unipic_graph import Record
from unipic_model import TINY, Job, UniPic, plan, randomise
from unipic_text import described, make
from unipic_vae import levels_to_rows, picture

SEED = 11
GREEDY = 8
MARGIN = 0.05
PROMPT = "a red circle"
INSTRUCTION = "Make the circle green."
QUESTIONS = [f"What is in the picture{'?' * n}" for n in range(1, 40)]
SEEN = (20, 13)  # width and height of the picture that is looked at, in pixels
CHAIN = 6  # tokens of the long chains
CHAINS = {
    "eps": Sampling(max_beta=0.2, steps=100, guidance=3.0),
    "v": Sampling(max_beta=0.999, steps=100, prediction="v", guidance=3.0, temperature=0.9),
    "single": Sampling(max_beta=0.2, steps=50),
}
CAUSAL_ROW = 3


class Store:
    """Tensors by name, and facts for the JSON."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.facts: dict[str, object] = {}

    def under(self, prefix: str, only: tuple[str, ...] | None = None) -> Record:
        def record(name: str, value: Tensor) -> None:
            if only is None or name in only:
                self.put(f"{prefix}.{name}", value)

        return record

    def put(self, name: str, value: Tensor) -> None:
        assert name not in self.tensors, name
        if value.ndim == 3 and len(value) == 1:
            value = value[0]
        self.tensors[name] = value.detach().clone()


def noise(seed: int, *shape: int) -> Tensor:
    """f32, so that f64 and f32 start from the same."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def drawing(seed: int, width: int, height: int) -> np.ndarray:
    """(height, width, 3) of bytes: smooth colours with speckles."""
    r = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    smooth = np.stack([128 + 110 * np.sin(x / 3 + c) * np.cos(y / (4 + c)) for c in range(3)], axis=-1)
    speckles = r.integers(0, 256, smooth.shape)
    return np.where(r.random((height, width, 1)) < 0.2, speckles, smooth).astype(np.uint8)


def squared(image: np.ndarray, size: int, how: str) -> np.ndarray:
    """A square by grey bars ('pad') or by its middle ('crop'), resized to (size, size, 3)."""
    source = Image.fromarray(image)
    width, height = source.size
    if how == "pad":
        side = max(width, height)
        square = Image.new("RGB", (side, side), (127, 127, 127))
        square.paste(source, ((side - width) // 2, (side - height) // 2))
    else:
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        square = source.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((size, size), Image.Resampling.BICUBIC))


def normalised(image: np.ndarray, dtype: torch.dtype) -> Tensor:
    """Bytes (S, S, 3) to (1, 3, S, S) in [-1, 1]."""
    return (2 * torch.from_numpy(image.copy()).to(dtype) / 255 - 1).permute(2, 0, 1)[None]


def resized(store: Store) -> None:
    for i, (width, height, size, how) in enumerate(
        [(7, 5, 16, "pad"), (40, 24, 32, "pad"), (45, 61, 24, "pad"), (33, 33, 16, "pad"), (5, 9, 24, "crop"), (50, 31, 16, "crop")]
    ):
        source = drawing(100 + i, width, height)
        store.put(f"resize.{i}.source", torch.from_numpy(source.copy()))
        store.put(f"resize.{i}.{how}", torch.from_numpy(squared(source, size, how).copy()))


def schedules(store: Store) -> None:
    for max_beta in (0.2, 0.999):
        for steps in (100, 50, 25):
            store.put(f"schedule.{max_beta}.{steps}", torch.from_numpy(schedule(1000, max_beta, steps)))
    store.facts["schedule"] = {"columns": COLUMNS, "spaced": {n: spaced_steps(1000, n) for n in (1, 2, 3, 4, 7, 10, 11, 19, 25, 28, 50, 100)}}


def positions(store: Store, unipic: UniPic) -> None:
    mar = unipic.mar
    for grid in (6, 4, 8):
        store.put(f"positions.encoder.{grid}", mar.positions(mar.encoder_pos_embed_learned, grid))
        store.put(f"positions.decoder.{grid}", mar.positions(mar.decoder_pos_embed_learned, grid))
        store.put(f"positions.diffusion.{grid}", mar.positions(mar.diffusion_pos_embed_learned, grid))


def jobs(seed: int, grid: int, iterations: int, sampling: Sampling) -> Job:
    order = torch.randperm(grid * grid, generator=torch.Generator().manual_seed(seed)).tolist()
    counts = [len(predicted) for _, predicted in plan(order, iterations)]
    c = TINY.token_channels
    return Job(
        grid,
        order,
        iterations,
        sampling,
        [noise(seed + 10 + i, n, c) for i, n in enumerate(counts)],
        [noise(seed + 50 + i, sampling.steps, n, c) for i, n in enumerate(counts)],
    )


def job_facts(job: Job) -> dict[str, object]:
    how = job.sampling
    return {
        "grid": job.grid,
        "order": job.order,
        "iterations": [{"known": known.tolist(), "predicted": predicted.tolist()} for known, predicted in job.plan()],
        "diffusionSteps": how.steps,
        "guidance": how.guidance,
        "temperature": how.temperature,
        "maxBeta": how.max_beta,
        "prediction": how.prediction,
    }


def painting(store: Store, unipic: UniPic, tokenizer: Tokenizer) -> None:
    text = [TEMPLATES["paint"].replace("{prompt}", PROMPT), TEMPLATES["paint_unconditional"]]
    ids = [tokenizer.encode(row).ids for row in text]
    job = jobs(1000, 6, TINY.iterations, Sampling(max_beta=TINY.diffusion.max_beta, steps=TINY.diffusion_steps, guidance=3.0))
    store.facts["paint"] = {"prompt": PROMPT, "texts": text, "ids": ids, **job_facts(job)}
    prompts = []
    for row, one in enumerate(ids):
        cache, states = unipic.prefill(unipic.embed(torch.tensor(one)))
        store.put(f"paint.prompt.{row}", states)
        prompts.append(cache)
    for i in range(job.iterations):
        store.put(f"paint.{i}.initial", job.initial[i])
        store.put(f"paint.{i}.noise", job.noise[i])

    def stage(name: str, value: Tensor) -> None:
        if name.startswith(("0.", "1.")) or name.endswith(".tokens"):
            store.put(f"paint.{name}", value)

    tokens = unipic.paint(prompts, job, record=stage)
    pixels = unipic.vae.decode(tokens, lambda name, x: store.put(f"vae.{name}", levels_to_rows(x)))
    store.put("vae.decoder.pixels", levels_to_rows(pixels))
    store.put("paint.picture", picture(pixels).flatten(0, 1))

    # The language model must not look ahead among image tokens: change one, and only it and those behind it change.
    visual = store.tensors["paint.1.visual"].clone()
    visual[CAUSAL_ROW] *= -1
    _, states = unipic.continued(prompts[0], visual)
    before = store.tensors["paint.1.language.norm"][0]
    change = (states - before).abs().amax(-1)
    assert change[:CAUSAL_ROW].max() < 1e-6 < 1e-3 < change[CAUSAL_ROW:].min()
    store.put("causality.visual", visual)
    store.put("causality.norm", states)

    z = store.tensors["paint.1.z"][:, :CHAIN]
    head = unipic.mar.diffloss.net
    x, step = noise(7, CHAIN, TINY.token_channels).to(z.dtype), 747
    store.put("head.x", x)
    store.put("head.z", z[0])
    out = head(x, torch.full((CHAIN,), step), z[0], store.under("head"))
    assert float(out.abs().max()) > 0.1
    store.put("head.out", out)
    initial, added = noise(8, CHAIN, TINY.token_channels), noise(9, 100, CHAIN, TINY.token_channels)
    store.put("chain.z", z)
    store.put("chain.initial", initial)
    store.put("chain.noise", added)
    store.facts["head"] = {"step": step}
    store.facts["chain"] = {}
    for name, how in CHAINS.items():
        kept = [done for done in (1, 2, *range(10, how.steps + 1, 10), how.steps) if done <= how.steps]
        kept = sorted(set(kept))
        states_of: list[Tensor] = []

        def after(done: int, x: Tensor, kept: list[int] = kept, states_of: list[Tensor] = states_of) -> None:
            if done in kept:
                states_of.append(x)

        rows = z[:1] if how.guidance == 1 else z
        sample(head, rows, initial.to(z.dtype), added[: how.steps].to(z.dtype), how, after)
        store.put(f"chain.{name}", torch.stack(states_of))
        store.facts["chain"][name] = {
            "maxBeta": how.max_beta, "steps": how.steps, "prediction": how.prediction, "guidance": how.guidance, "temperature": how.temperature, "after": kept,
        }


def editing(store: Store, unipic: UniPic, tokenizer: Tokenizer) -> None:
    image = squared(drawing(31, 21, 16), 16, "crop")
    pixels = normalised(image, unipic.mar.fake_latent.dtype)
    job = jobs(2000, 4, 2, Sampling(max_beta=TINY.diffusion.max_beta, steps=TINY.diffusion_steps, guidance=2.0, temperature=0.85))
    holders = "<image>" * (job.grid**2 + TINY.mar.buffers)
    text = [
        TEMPLATES["edit"].replace("{image}", holders).replace("{instruction}", INSTRUCTION),
        TEMPLATES["edit_unconditional"].replace("{image}", holders),
    ]
    ids = [tokenizer.encode(row).ids for row in text]
    store.facts["edit"] = {"instruction": INSTRUCTION, "texts": text, "ids": ids, **job_facts(job)}
    store.put("edit.source", torch.from_numpy(image.copy()).flatten(0, 1))
    x_con, visual = unipic.see_mar(pixels, store.under("edit.see", ("tokens", "x_enc", "visual")))
    prompts = [unipic.prefill(unipic.embed(torch.tensor(one), visual))[0] for one in ids]
    for i in range(job.iterations):
        store.put(f"edit.{i}.initial", job.initial[i])
        store.put(f"edit.{i}.noise", job.noise[i])
    unipic.paint(prompts, job, x_con, store.under("edit", ("0.fused", "0.decoder_input", "0.z", "0.tokens", "1.z", "1.tokens")))


def greedy(unipic: UniPic, embeddings: Tensor) -> tuple[list[int], Tensor, float]:
    """Greedy ids, the logits (GREEDY, vocabulary) that chose them, and the least margin between the two best."""
    chosen, logits, margin = [], [], float("inf")
    for _ in range(GREEDY):
        states = unipic.llm.model(inputs_embeds=embeddings[None], use_cache=False).last_hidden_state[0, -1]
        row = unipic.llm.lm_head(states)
        best = row.topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        chosen.append(int(best.indices[0]))
        logits.append(row)
        embeddings = torch.cat([embeddings, unipic.llm.model.embed_tokens(best.indices[:1])])
    return chosen, torch.stack(logits), margin


def seeing(store: Store, unipic: UniPic, tokenizer: Tokenizer) -> None:
    assert TINY.siglip is not None
    source = drawing(30, *SEEN)
    size = 32
    pixels = normalised(squared(source, size, "pad"), unipic.mar.fake_latent.dtype)
    store.put("see.source", torch.from_numpy(source.copy()))
    store.put("see.pixels", levels_to_rows(pixels))
    unipic.vae.encode(pixels, lambda name, x: store.put(f"vae.{name}", levels_to_rows(x)))
    _, mar = unipic.see_mar(pixels, store.under("see.mar"))
    siglip = unipic.see_siglip(pixels, store.under("see.siglip"))
    store.facts["see"] = {"size": size, "routes": {}}
    for route, visual in ("mar", mar), ("siglip", siglip):
        for question in QUESTIONS:
            text = TEMPLATES["edit"].replace("{image}", "<image>" * len(visual)).replace("{instruction}", question)
            ids = tokenizer.encode(text).ids
            chosen, logits, margin = greedy(unipic, unipic.embed(torch.tensor(ids), visual))
            if margin >= MARGIN and len(set(chosen)) > 3:
                break
        else:
            raise RuntimeError(f"no question has a margin of {MARGIN}; change SEED")
        store.put(f"see.{route}.logits", logits)
        store.facts["see"]["routes"][route] = {"question": question, "text": text, "ids": ids, "greedy": chosen, "margin": round(margin, 4)}


def compute(unipic: UniPic, tokenizer: Tokenizer) -> Store:
    store = Store()
    with torch.no_grad():
        resized(store)
        schedules(store)
        positions(store, unipic)
        painting(store, unipic, tokenizer)
        seeing(store, unipic, tokenizer)
        editing(store, unipic, tokenizer)
    return store


def compared(found: Store, wanted: Store) -> Iterator[tuple[str, float]]:
    """(group, worst NMSE) of everything computed."""
    worst: dict[str, float] = {}
    for name, value in wanted.tensors.items():
        if value.dtype == torch.float64:
            error = (found.tensors[name].double() - value).square().sum() / value.square().sum()
            group = ".".join(part for part in name.split(".")[:3] if not part.isdigit())
            worst[group] = max(worst.get(group, 0), float(error))
    yield from worst.items()


def build() -> UniPic:
    torch.manual_seed(SEED)
    unipic = UniPic(TINY).eval().requires_grad_(False)
    randomise(unipic, SEED)
    return unipic


def write_model(unipic: UniPic, path: Path) -> None:
    tokenizer = make()
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    gguf_file.write(
        path,
        TINY,
        described(tokenizer, merges),
        tensors.tensors(TINY),
        gguf_file.Formats.all(gguf_file.Type.F32),
        lambda entry, kind: gguf_file.encoded(entry.name, gguf_file.as_rows(entry, unipic.value(entry)), kind),
        "Random weights for parity tests of the UniPic graph",
    )


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "test/fixtures/unipic")
    folder.mkdir(parents=True, exist_ok=True)
    unipic = build()
    write_model(unipic, folder / "model.gguf")
    tokenizer = make()
    single = compute(unipic, tokenizer)
    store = compute(unipic.double(), tokenizer)
    room = dict(compared(single, store))
    facts = {
        "upstream": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "seed": SEED,
        "f32": {group: float(f"{error:.1e}") for group, error in room.items()},
        **store.facts,
    }
    save_file({name: value.float().contiguous() for name, value in store.tensors.items()}, folder / "fixtures.safetensors")
    (folder / "fixtures.json").write_text(json.dumps(facts, indent=1) + "\n")
    for file in sorted(folder.iterdir()):
        print(file.name, file.stat().st_size, "bytes")
    for group, error in room.items():
        print(f"{group}: NMSE of f32 {error:.1e}")


if __name__ == "__main__":
    main()
