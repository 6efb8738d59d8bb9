"""What PyTorch computes in f32 from the dequantised weights of real GGUF files (`npm run models`).

    python training/parity/real.py fixtures [smollm2 qwen gemma]
    python training/parity/real.py perplexity MODEL --text FILE [--from TEXT] [--characters N] [--window N]

`fixtures` writes test/fixtures/real/MODEL.json: a text with its ids, the log-probability of every id in windows of a fixed length, every
STRIDE-th logit at some positions, and greedy answers to messages in the file's own chat template (to a bare text where it has none).
`perplexity` prints the mean negative log-likelihood over a text, read in windows that start anew, as `npm run eval -- perplexity` does.
"""

import argparse
import base64
import json
import math
import os
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = json.loads((ROOT / "tools/models.json").read_text())
CACHE = Path(os.environ.get("OCTAVO_MODELS", ROOT / ".cache/models"))
FIXTURES = ROOT / "test/fixtures/real"

WINDOW = 128
POSITIONS = [0, 1, 15, 31, 32, 63, 64, 96, 127]
STRIDE = 127
GREEDY = 24
"""Two ids whose logits are nearer than this could change places by rounding: an answer ends before such a step."""
MARGIN = 0.2

# The beginning of Moby-Dick (1851, in the public domain).
TEXT = """Call me Ishmael. Some years ago—never mind how long precisely—having little or no money in my purse, and nothing particular to \
interest me on shore, I thought I would sail about a little and see the watery part of the world. It is a way I have of driving off the \
spleen and regulating the circulation. Whenever I find myself growing grim about the mouth; whenever it is a damp, drizzly November in my \
soul; whenever I find myself involuntarily pausing before coffin warehouses, and bringing up the rear of every funeral I meet; and \
especially whenever my hypos get such an upper hand of me, that it requires a strong moral principle to prevent me from deliberately \
stepping into the street, and methodically knocking people’s hats off—then, I account it high time to get to sea as soon as I can. This is \
my substitute for pistol and ball. With a philosophical flourish Cato throws himself upon his sword; I quietly take to the ship. There is \
nothing surprising in this. If they but knew it, almost all men in their degree, some time or other, cherish very nearly the same feelings \
towards the ocean with me."""

PROMPTS = {
    "smollm2": [
        [{"role": "user", "content": "Tell me about gravity."}],
        [{"role": "user", "content": "Who wrote Hamlet?"}],
        [
            {"role": "system", "content": "You answer in one short sentence."},
            {"role": "user", "content": "What is 2 + 2?"},
            {"role": "assistant", "content": "2 + 2 is 4."},
            {"role": "user", "content": "Name three colours of the rainbow."},
        ],
    ],
    "qwen": [
        [{"role": "user", "content": "What does len() do in Python?"}],
        [{"role": "user", "content": "What is 12 * 12?"}],
        [
            {"role": "system", "content": "You answer with JavaScript code only."},
            {"role": "user", "content": "Write a loop that prints the numbers 1 to 10."},
        ],
    ],
    "gemma": ["The capital of France is", "The quick brown fox jumps over the lazy dog. The quick brown fox jumps over"],
}


def packed(tensor: torch.Tensor) -> str:
    return base64.b64encode(tensor.float().contiguous().numpy().astype("<f4").tobytes()).decode()


def load(name: str):
    file = CATALOGUE[name]["files"][0]
    if not (CACHE / file["path"]).exists():
        raise SystemExit(f"{CACHE / file['path']} is not there; run `npm run models -- {name}` first")
    tokenizer = AutoTokenizer.from_pretrained(CACHE, gguf_file=file["path"])
    model = AutoModelForCausalLM.from_pretrained(CACHE, gguf_file=file["path"], dtype=torch.float32, attn_implementation="eager").eval()
    return file, tokenizer, model


def windows(ids: list[int], length: int, bos: int | None) -> list[list[int]]:
    """Pieces of `length` ids, each behind BOS where the model has one; what is left at the end is a shorter one."""
    front = [] if bos is None else [bos]
    step = length - len(front)
    return [front + ids[start : start + step] for start in range(0, len(ids), step)]


@torch.no_grad()
def score(model, tokenizer, text: str, length: int):
    """Ids of all windows, and the log-probability of each id given those before it in its window; NaN for the first."""
    ids = tokenizer(text, add_special_tokens=False).input_ids
    bos = tokenizer.bos_token_id if len(tokenizer("a").input_ids) > len(tokenizer("a", add_special_tokens=False).input_ids) else None
    all_ids, all_scores, first = [], [], None
    for piece in windows(ids, length, bos):
        logits = model(torch.tensor([piece]), use_cache=False).logits[0]
        first = logits if first is None else first
        found = torch.log_softmax(logits[:-1].double(), dim=-1).gather(1, torch.tensor(piece[1:])[:, None])[:, 0]
        all_ids += piece
        all_scores += [math.nan, *found.tolist()]
    return all_ids, torch.tensor(all_scores), first


def greedy(model, ids: list[int]) -> tuple[list[int], float]:
    """Up to GREEDY ids, and the least distance of a best logit from the second best. Ends before a step at which rounding could decide."""
    out = model.generate(
        torch.tensor([ids]), max_new_tokens=GREEDY, do_sample=False, repetition_penalty=1.0, output_logits=True, return_dict_in_generate=True
    )
    best = torch.stack(out.logits)[:, 0].topk(2).values
    margins = (best[:, 0] - best[:, 1]).tolist()
    sure = next((i for i, margin in enumerate(margins) if margin < MARGIN), len(margins))
    return out.sequences[0, len(ids) :][:sure].tolist(), min(margins[:sure], default=0.0)


def fixture(name: str) -> None:
    file, tokenizer, model = load(name)
    ids, scores, logits = score(model, tokenizer, TEXT, WINDOW)
    mean = float(-scores[~scores.isnan()].double().mean())
    answers = []
    for prompt in PROMPTS[name]:
        if isinstance(prompt, str):
            asked = {"text": prompt, "ids": tokenizer(prompt).input_ids}
        else:
            rendered = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True)
            asked = {"messages": prompt, "ids": list(rendered["input_ids"])}
        found, margin = greedy(model, asked["ids"])
        answers.append({**asked, "greedy": found, "answer": tokenizer.decode(found, skip_special_tokens=True), "margin": round(margin, 3)})
    expected = {
        "upstream": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "file": file["path"],
        "sha256": file["sha256"],
        "text": TEXT,
        "window": WINDOW,
        "ids": ids,
        "logProbs": packed(scores),
        "nll": round(mean, 6),
        "positions": POSITIONS,
        "stride": STRIDE,
        "logits": packed(logits[POSITIONS][:, ::STRIDE]),
        "best": logits[POSITIONS].argmax(-1).tolist(),
        "answers": answers,
    }
    FIXTURES.mkdir(parents=True, exist_ok=True)
    path = FIXTURES / f"{name}.json"
    path.write_text(json.dumps(expected, ensure_ascii=False) + "\n")
    print(f"{path.name}: {path.stat().st_size} bytes, {len(ids)} ids, nll {mean:.4f}, perplexity {math.exp(mean):.3f}")
    for answer in answers:
        print(f"  {answer['answer']!r}: {len(answer['greedy'])} ids, least margin {answer['margin']}")


def perplexity(arguments: argparse.Namespace) -> None:
    text = Path(arguments.text).read_bytes().decode().replace("\r\n", "\n")
    start = text.index(getattr(arguments, "from"))
    text = text[start : start + arguments.characters] if arguments.characters else text[start:]
    _, tokenizer, model = load(arguments.model)
    _, scores, _ = score(model, tokenizer, text, arguments.window)
    scored = scores[~scores.isnan()].double()
    mean = float(-scored.mean())
    print(json.dumps({"model": arguments.model, "window": arguments.window, "tokens": len(scored), "nll": mean, "perplexity": math.exp(mean)}))


def main() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fixtures").add_argument("models", nargs="*", default=["smollm2", "qwen", "gemma"])
    measure = commands.add_parser("perplexity")
    measure.add_argument("model")
    measure.add_argument("--text", required=True)
    measure.add_argument("--from", default="")
    measure.add_argument("--characters", type=int)
    measure.add_argument("--window", type=int, default=512)
    arguments = parser.parse_args()
    if arguments.command == "fixtures":
        for name in arguments.models:
            fixture(name)
    else:
        perplexity(arguments)


if __name__ == "__main__":
    main()
