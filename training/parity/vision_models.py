"""Writes test/fixtures/vision-models/<case>/: tiny random vision-language checkpoints, and what upstream's processor and model make of images.

    python training/parity/vision_models.py [test/fixtures/vision-models]

Each case is a Hugging Face folder (weights in F32, a byte-level tokenizer, a chat template that takes parts) and expected.json: for images of many
shapes the sides of their grid of tiles and the SHA-256 of the tiles' bytes, as the processor makes them before it rescales; for a conversation
with two images the ids, the image embeddings of the first, logits of some positions and greedy ids, computed in f64 with eager attention.
Pillow 12 or earlier (see resize.py).
"""

import base64
import hashlib
import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import PIL
import torch
import transformers
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import Idefics3Config, Idefics3ForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.idefics3.processing_idefics3 import Idefics3Processor

from language_models import randomise

GREEDY = 8
MARGIN = 0.02
TILE = 32
LONGEST = 128
SPECIALS = [
    "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>", "<global-img>",
    *[f"<row_{r + 1}_col_{c + 1}>" for r in range(6) for c in range(6)],
]
TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
# Width, height: squares, strips, odd sides, one pixel, larger and smaller than the tiles.
SHAPES = [(50, 30), (30, 50), (20, 20), (128, 128), (1, 1), (200, 3), (3, 200), (129, 127), (64, 33), (33, 64), (300, 220), (97, 11), (500, 499)]


def picture(width: int, height: int) -> Image.Image:
    """The same numbers as `picture` of test/models/vision-parity.test.ts."""
    y, x = np.mgrid[0:height, 0:width]
    values = np.stack([x * 7 + y * 3, x * y + 40, (x ^ y) * 5], axis=-1) % 256
    return Image.fromarray(values.astype(np.uint8))


def tokenizer() -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in SPECIALS])
    made = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end_of_utterance>")
    made.chat_template = TEMPLATE
    return made


def idefics3(ids: dict[str, int]) -> Idefics3Config:
    vocabulary = len(ids)
    text = dict(
        model_type="llama", vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, bos_token_id=ids["<|im_start|>"], eos_token_id=ids["<end_of_utterance>"],
        tie_word_embeddings=False, pad_token_id=0,
    )
    vision = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2, image_size=TILE, patch_size=4)
    return Idefics3Config(
        text_config=text, vision_config=vision, scale_factor=4, image_token_id=ids["<image>"], tie_word_embeddings=False
    )


def b64(tensor: torch.Tensor) -> str:
    return base64.b64encode(tensor.float().numpy().astype("<f4").tobytes()).decode()


def preprocessing(images: Idefics3ImageProcessorPil) -> list[dict]:
    out = []
    for width, height in SHAPES:
        made = images(picture(width, height), do_rescale=False, do_normalize=False, return_row_col_info=True, return_tensors="np")
        tiles = np.asarray(made["pixel_values"])[0].astype(np.uint8).transpose(0, 2, 3, 1)
        out.append({
            "width": width, "height": height, "rows": made["rows"][0][0], "columns": made["cols"][0][0],
            "sha256": hashlib.sha256(np.ascontiguousarray(tiles).tobytes()).hexdigest(),
        })
    return out


def write(folder: Path, seed: int) -> bool:
    """False where the two best ids of a greedy step are too close for another order of sums to agree."""
    words = tokenizer()
    config = idefics3(words.get_vocab())
    config._attn_implementation = "eager"
    torch.manual_seed(seed)
    model = Idefics3ForConditionalGeneration(config).eval().float()
    randomise(model, seed)
    target = folder / "smolvlm"
    shutil.rmtree(target, ignore_errors=True)
    model.save_pretrained(target)
    (target / "generation_config.json").unlink(missing_ok=True)
    words.save_pretrained(target)
    images = Idefics3ImageProcessorPil(size={"longest_edge": LONGEST}, max_image_size={"longest_edge": TILE})
    images.save_pretrained(target)
    tokens = (TILE // config.vision_config.patch_size) ** 2 // config.scale_factor**2
    processor = Idefics3Processor(images, words, image_seq_len=tokens)

    shown = [picture(50, 30), picture(20, 20)]
    messages = [{"role": "user", "content": [
        {"type": "image"}, {"type": "text", "text": "Which of them? "}, {"type": "image"}, {"type": "text", "text": "Say."},
    ]}]
    text = words.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, chat_template=TEMPLATE)
    inputs = processor(text=text, images=[shown], return_tensors="pt")
    model = model.double()
    pixels = inputs["pixel_values"].double()
    with torch.no_grad():
        features = model.model.get_image_features(pixels, inputs["pixel_attention_mask"]).pooler_output
        ids = inputs["input_ids"]
        prompt = ids.shape[1]
        margin = math.inf
        first = None
        for _ in range(GREEDY):
            logits = model(input_ids=ids, pixel_values=pixels, pixel_attention_mask=inputs["pixel_attention_mask"], use_cache=False).logits[0]
            first = logits if first is None else first
            best = logits[-1].topk(2)
            margin = min(margin, float(best.values[0] - best.values[1]))
            ids = torch.cat([ids, best.indices[None, :1]], dim=1)
    if margin < MARGIN:
        return False
    positions = [0, 8, 9, prompt // 2, prompt - 1]
    features = torch.cat(list(features)) if isinstance(features, (list, tuple)) else features
    expected = {
        "upstream": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0], "pillow": PIL.__version__},
        "seed": seed, "margin": round(margin, 4), "preprocessing": preprocessing(images),
        "ids": ids[0, :prompt].tolist(), "generated": ids[0, prompt:].tolist(), "positions": positions,
        "logits": b64(first[positions]), "embeddings": b64(features.reshape(-1, features.shape[-1])),
    }
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(f"smolvlm: {sum(p.numel() for p in model.parameters())} parameters, seed {seed}, {prompt} ids, least margin {margin:.4f}")
    return True


def main() -> None:
    if int(PIL.__version__.split(".")[0]) > 12:
        raise SystemExit(f"Pillow {PIL.__version__} resizes in another order; install 12.2.0")
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "test/fixtures/vision-models")
    seed = 1
    while not write(folder, seed):
        seed += 100


if __name__ == "__main__":
    main()
