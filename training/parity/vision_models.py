"""Writes test/fixtures/vision-models/<case>/: tiny random vision-language checkpoints, and what upstream's processor and model make of images.

    python training/parity/vision_models.py [test/fixtures/vision-models] [case ...]

Each case is a Hugging Face folder (weights in F32, a byte-level tokenizer, a chat template that takes parts) and expected.json: for images of many
shapes the number of tiles and the SHA-256 of the tiles' bytes, as the processor makes them before it rescales (null where it refuses the image); for
a conversation with two images the ids, the image embeddings, logits of some positions and greedy ids, computed in f64 with eager attention.
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
from transformers import PreTrainedTokenizerFast

from language_models import randomise

GREEDY = 8
SAMPLES = 400
MARGIN = 0.02
# Width, height: squares, strips, odd sides, one pixel, larger and smaller than the tiles.
SHAPES = [
    (50, 30), (30, 50), (20, 20), (128, 128), (1, 1), (200, 3), (3, 200), (129, 127), (64, 33), (33, 64), (300, 220), (97, 11), (500, 499),
    (16000, 10),
]
TEXT = dict(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024,
    tie_word_embeddings=False, pad_token_id=0,
)
TOWER = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2)
TURNS = (
    "{{% for message in messages %}}{{{{ '{start}' + message['role'] + '\\n' }}}}"
    "{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{image}{{% else %}}{{{{ part['text'] }}}}{{% endif %}}{{% endfor %}}"
    "{end}\n{{% endfor %}}{{% if add_generation_prompt %}}{start}assistant\n{{% endif %}}"
)
IDEFICS_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
# As LLaVA's own: all images of a message before its text.
LLAVA_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] + ' ' }}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def picture(width: int, height: int) -> Image.Image:
    """The same numbers as `picture` of test/support/vision-fixtures.ts."""
    y, x = np.mgrid[0:height, 0:width]
    values = np.stack([x * 7 + y * 3, x * y + 40, (x ^ y) * 5], axis=-1) % 256
    return Image.fromarray(values.astype(np.uint8))


def tokenizer(specials: list[str], end: str, template: str, **named: str) -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in specials])
    made = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=end, extra_special_tokens=named)
    made.chat_template = template
    return made


class Case:
    """One checkpoint: `words`, `config`, `model` class, `images` (the image processor) and `processor`."""

    # Images of the conversation.
    shown = [(50, 30), (20, 20)]
    # Whether the tiles are Pillow's to the byte; otherwise some of their bytes are kept in place of a hash.
    exact = True

    def tiles(self, made: dict) -> np.ndarray:
        """What the image processor made of one image, before it rescales, as tiles [n, height, width, 3] or a list of such."""
        return [tile.transpose(1, 2, 0) for tile in np.asarray(made["pixel_values"])]

    def inputs(self, text: str, shown: list[Image.Image]) -> dict:
        """As the processor makes them."""
        return dict(self.processor(text=text, images=[shown], return_tensors="pt"))

    def expanded(self, text: str, shown: list[Image.Image], word: str, replace) -> dict:
        """The same for models whose processor needs torchvision, for videos: `replace` gives what stands for each image."""
        made = self.images(shown, return_tensors="pt")
        first, *rest = text.split(word)
        for i, piece in enumerate(rest):
            first += replace(made, i) + piece
        ids = torch.tensor([self.words(first, add_special_tokens=False)["input_ids"]])
        return dict(made) | {"input_ids": ids}

    def more(self, inputs: dict, length: int) -> dict:
        """The inputs of a prompt that is as long as `length`, without its ids."""
        return {name: value for name, value in inputs.items() if name not in ("input_ids", "attention_mask")}


class Idefics3(Case):
    def __init__(self):
        from transformers import Idefics3Config, Idefics3ForConditionalGeneration
        from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
        from transformers.models.idefics3.processing_idefics3 import Idefics3Processor

        specials = [
            "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>", "<global-img>",
            *[f"<row_{r + 1}_col_{c + 1}>" for r in range(6) for c in range(6)],
        ]
        self.words = tokenizer(specials, "<end_of_utterance>", IDEFICS_TEMPLATE)
        ids = self.words.get_vocab()
        text = dict(
            model_type="llama", vocab_size=len(ids), bos_token_id=ids["<|im_start|>"], eos_token_id=ids["<end_of_utterance>"], **TEXT
        )
        self.config = Idefics3Config(
            text_config=text, vision_config=TOWER | dict(image_size=32, patch_size=4), scale_factor=4, image_token_id=ids["<image>"],
            tie_word_embeddings=False,
        )
        self.model = Idefics3ForConditionalGeneration
        self.images = Idefics3ImageProcessorPil(size={"longest_edge": 128}, max_image_size={"longest_edge": 32})
        self.processor = Idefics3Processor(self.images, self.words, image_seq_len=4)

    def tiles(self, made: dict) -> np.ndarray:
        return np.asarray(made["pixel_values"])[0].transpose(0, 2, 3, 1)


class Gemma3(Case):
    def __init__(self):
        from transformers import Gemma3Config, Gemma3ForConditionalGeneration
        from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
        from transformers.models.gemma3.processing_gemma3 import Gemma3Processor

        specials = ["<pad>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"]
        self.words = tokenizer(
            specials, "<end_of_turn>", TURNS.format(start="<start_of_turn>", end="<end_of_turn>", image="<start_of_image>"),
            boi_token="<start_of_image>", eoi_token="<end_of_image>", image_token="<image_soft_token>",
        )
        ids = self.words.get_vocab()
        # Layer 5 of 7 sees everything; the windows are shorter than an image and its surroundings.
        text = TEXT | dict(
            num_hidden_layers=7, head_dim=16, query_pre_attn_scalar=24, sliding_window=6, vocab_size=len(ids), eos_token_id=ids["<end_of_turn>"],
            bos_token_id=ids["<bos>"], tie_word_embeddings=True,
            rope_parameters={
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            },
        )
        self.config = Gemma3Config(
            text_config=text, vision_config=TOWER | dict(model_type="siglip_vision_model", image_size=32, patch_size=4),
            mm_tokens_per_image=16, image_token_index=ids["<image_soft_token>"],
            boi_token_index=ids["<start_of_image>"], eoi_token_index=ids["<end_of_image>"],
        )
        self.model = Gemma3ForConditionalGeneration
        self.images = Gemma3ImageProcessorPil(size={"height": 32, "width": 32})
        self.processor = Gemma3Processor(self.images, self.words, image_seq_length=16)

    def more(self, inputs: dict, length: int) -> dict:
        made = super().more(inputs, length)
        types = made["token_type_ids"]
        made["token_type_ids"] = torch.nn.functional.pad(types, (0, length - types.shape[1]))
        return made


class Qwen(Case):
    patch = 4
    halves = False

    def __init__(self):
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
        self.words = tokenizer(
            specials, "<|im_end|>", TURNS.format(start="<|im_start|>", end="<|im_end|>", image="<|vision_start|><|image_pad|><|vision_end|>")
        )
        self.ids = ids = self.words.get_vocab()
        special = dict(
            image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"], vision_start_token_id=ids["<|vision_start|>"],
            vision_end_token_id=ids["<|vision_end|>"], tie_word_embeddings=False,
        )
        # Heads of 16 turn 8 pairs.
        text = TEXT | dict(
            num_attention_heads=2, num_key_value_heads=1, vocab_size=len(ids), eos_token_id=ids["<|im_end|>"], bos_token_id=None,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
        )
        means = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3) if self.halves else {}
        self.images = Qwen2VLImageProcessorPil(
            size={"shortest_edge": 16 * 64, "longest_edge": 60 * 64}, patch_size=self.patch, merge_size=2, temporal_patch_size=2, **means
        )
        self.make(text, special)

    def tiles(self, made: dict) -> np.ndarray:
        ((_, rows, columns),) = np.asarray(made["image_grid_thw"])
        p = self.patch
        patches = np.asarray(made["pixel_values"]).reshape(rows // 2, columns // 2, 2, 2, 3, 2, p, p)[:, :, :, :, :, 0]
        return [patches.transpose(0, 2, 5, 1, 3, 6, 4).reshape(rows * p, columns * p, 3)]

    def inputs(self, text: str, shown: list[Image.Image]) -> dict:
        pad = "<|image_pad|>"
        made = self.expanded(text, shown, pad, lambda images, i: pad * (int(images["image_grid_thw"][i].prod()) // 4))
        return made | {"mm_token_type_ids": (made["input_ids"] == self.ids[pad]).int()}

    def more(self, inputs: dict, length: int) -> dict:
        made = super().more(inputs, length)
        types = made["mm_token_type_ids"]
        made["mm_token_type_ids"] = torch.nn.functional.pad(types, (0, length - types.shape[1]))
        return made


class Qwen2Vl(Qwen):
    def make(self, text: dict, special: dict):
        from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

        vision = dict(depth=3, embed_dim=24, hidden_size=32, num_heads=2, mlp_ratio=2, patch_size=self.patch, spatial_merge_size=2)
        self.config = Qwen2VLConfig(text_config=text, vision_config=vision, **special)
        self.model = Qwen2VLForConditionalGeneration


class Qwen25Vl(Qwen):
    # Windows of 2 x 2 tokens, cut at the right and below.
    shown = [(50, 28), (20, 20)]

    def make(self, text: dict, special: dict):
        from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

        vision = dict(
            depth=3, hidden_size=24, intermediate_size=40, num_heads=2, patch_size=self.patch, spatial_merge_size=2, window_size=16,
            fullatt_block_indexes=[1], out_hidden_size=32,
        )
        self.config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **special)
        self.model = Qwen2_5_VLForConditionalGeneration


class Qwen3Vl(Qwen):
    halves = True

    def make(self, text: dict, special: dict):
        from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

        vision = dict(
            depth=3, hidden_size=24, intermediate_size=40, num_heads=2, patch_size=self.patch, spatial_merge_size=2, out_hidden_size=32,
            num_position_embeddings=25, deepstack_visual_indexes=[0, 1],
        )
        text = text | dict(head_dim=16, num_hidden_layers=3)
        text["rope_parameters"] = text["rope_parameters"] | {"mrope_section": [4, 2, 2], "mrope_interleaved": True}
        self.config = Qwen3VLConfig(text_config=text, vision_config=vision, **special)
        self.model = Qwen3VLForConditionalGeneration


class Qwen35Vl(Qwen):
    halves = True

    def make(self, text: dict, special: dict):
        from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

        vision = dict(
            depth=3, hidden_size=24, intermediate_size=40, num_heads=2, patch_size=self.patch, spatial_merge_size=2, out_hidden_size=32,
            num_position_embeddings=25,
        )
        text = text | dict(
            head_dim=16, num_hidden_layers=4, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=8,
            linear_conv_kernel_dim=4, tie_word_embeddings=False,
        )
        rope = dict(partial_rotary_factor=0.5, mrope_section=[2, 1, 1], mrope_interleaved=True)
        text["rope_parameters"] = text["rope_parameters"] | rope
        self.config = Qwen3_5Config(text_config=text, vision_config=vision, **special)
        self.model = Qwen3_5ForConditionalGeneration


class Llava(Case):
    # Squares: others are cropped by the processor, and padded where the model comes from a GGUF file.
    shown = [(50, 50), (20, 20)]

    def __init__(self):
        from transformers import LlavaConfig, LlavaForConditionalGeneration
        from transformers.models.llava.processing_llava import LlavaProcessor
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        self.words = tokenizer(["<unk>", "<s>", "</s>", "<image>"], "</s>", LLAVA_TEMPLATE)
        ids = self.words.get_vocab()
        text = TEXT | dict(model_type="llama", vocab_size=len(ids), eos_token_id=ids["</s>"], bos_token_id=ids["<s>"])
        vision = TOWER | dict(model_type="clip_vision_model", image_size=24, patch_size=4, projection_dim=16)
        self.config = LlavaConfig(text_config=text, vision_config=vision, image_token_index=ids["<image>"], image_seq_length=36)
        self.model = LlavaForConditionalGeneration
        self.images = CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
        self.processor = LlavaProcessor(
            self.images, self.words, patch_size=4, vision_feature_select_strategy="default", num_additional_image_tokens=1
        )


class InternVl(Case):
    def __init__(self):
        from transformers import InternVLConfig, InternVLForConditionalGeneration
        from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

        specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>"]
        self.words = tokenizer(
            specials, "<|im_end|>", TURNS.format(start="<|im_start|>", end="<|im_end|>", image="<IMG_CONTEXT>\n"),
            start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>", video_token="<video>",
        )
        ids = self.words.get_vocab()
        text = TEXT | dict(model_type="qwen2", vocab_size=len(ids), eos_token_id=ids["<|im_end|>"], bos_token_id=None)
        vision = TOWER | dict(image_size=[32, 32], patch_size=[4, 4], layer_scale_init_value=0.1)
        self.config = InternVLConfig(
            text_config=text, vision_config=vision, image_token_id=ids["<IMG_CONTEXT>"], image_seq_length=16, downsample_ratio=0.5
        )
        self.model = InternVLForConditionalGeneration
        self.images = GotOcr2ImageProcessorPil(
            size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=6,
            image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
        )

    def inputs(self, text: str, shown: list[Image.Image]) -> dict:
        def tokens(images: dict, i: int) -> str:
            return "<img>" + "<IMG_CONTEXT>" * 16 * int(images["num_patches"][i]) + "</img>"

        made = self.expanded(text, shown, "<IMG_CONTEXT>", tokens)
        made.pop("num_patches")
        return made | {"pixel_values": torch.cat([torch.as_tensor(tile)[None] for tile in made["pixel_values"]])}


class Lfm2Vl(Case):
    """Its image processor needs torchvision, which rounds a pixel otherwise than Pillow here and there: `tiles` are compared with a tolerance of 1."""

    exact = False
    # One image that is not resized, and one of which only the thumbnail is.
    shown = [(32, 24), (96, 32)]

    def __init__(self):
        from transformers import Lfm2VlConfig, Lfm2VlForConditionalGeneration
        from transformers.models.lfm2_vl.image_processing_lfm2_vl import Lfm2VlImageProcessor
        from transformers.models.lfm2_vl.processing_lfm2_vl import Lfm2VlProcessor

        specials = [
            "<|pad|>", "<|startoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>",
            *[f"<|img_row_{r + 1}_col_{c + 1}|>" for r in range(4) for c in range(4)],
        ]
        self.words = tokenizer(
            specials, "<|im_end|>", TURNS.format(start="<|im_start|>", end="<|im_end|>", image="<image>"), image_token="<image>"
        )
        ids = self.words.get_vocab()
        text = TEXT | dict(
            model_type="lfm2", num_hidden_layers=3, vocab_size=len(ids), layer_types=["conv", "full_attention", "conv"],
            eos_token_id=ids["<|im_end|>"], bos_token_id=ids["<|startoftext|>"], block_auto_adjust_ff_dim=False, tie_word_embeddings=True,
        )
        vision = TOWER | dict(model_type="siglip2_vision_model", patch_size=4, num_patches=25, vision_use_head=False)
        self.config = Lfm2VlConfig(
            text_config=text, vision_config=vision, image_token_id=ids["<image>"], projector_hidden_size=48, downsample_factor=2
        )
        self.model = Lfm2VlForConditionalGeneration
        self.images = Lfm2VlImageProcessor(
            tile_size=32, encoder_patch_size=4, min_image_tokens=4, max_image_tokens=16, min_tiles=2, max_tiles=4
        )
        self.processor = Lfm2VlProcessor(self.images, self.words)

    def tiles(self, made: dict) -> np.ndarray:
        tiles = []
        for patches, (rows, columns) in zip(np.asarray(made["pixel_values"]), np.asarray(made["spatial_shapes"])):
            grid = patches[: rows * columns].reshape(rows, columns, 4, 4, 3)
            tiles.append(grid.transpose(0, 2, 1, 3, 4).reshape(rows * 4, columns * 4, 3))
        return tiles

    def inputs(self, text: str, shown: list[Image.Image]) -> dict:
        return dict(self.processor(text=text, images=[shown], return_tensors="pt", use_image_special_tokens=True))


class Mistral3(Case):
    def __init__(self):
        from transformers import Mistral3Config, Mistral3ForConditionalGeneration
        from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

        specials = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]"]
        self.words = tokenizer(specials, "</s>", TURNS.format(start="[INST]", end="[/INST]", image="[IMG]"))
        ids = self.words.get_vocab()
        rope = dict(
            rope_type="yarn", rope_theta=10000.0, factor=16.0, beta_fast=4.0, beta_slow=0.5, mscale=1.0, mscale_all_dim=1.0,
            original_max_position_embeddings=16, llama_4_scaling_beta=0.1,
        )
        text = TEXT | dict(
            model_type="ministral3", head_dim=16, vocab_size=len(ids), eos_token_id=ids["</s>"], bos_token_id=ids["<s>"], rope_parameters=rope
        )
        vision = TOWER | dict(model_type="pixtral", image_size=64, patch_size=4, hidden_act="silu")
        self.config = Mistral3Config(
            text_config=text, vision_config=vision, spatial_merge_size=2, image_token_index=ids["[IMG]"], tie_word_embeddings=False
        )
        self.model = Mistral3ForConditionalGeneration
        # The processor gives the patch's side times the merging's.
        self.images = PixtralImageProcessorPil(size={"longest_edge": 64}, patch_size={"height": 8, "width": 8})

    def tiles(self, made: dict) -> np.ndarray:
        whole = np.asarray(made["pixel_values"])[0].transpose(1, 2, 0)
        return [whole[top : top + 8] for top in range(0, len(whole), 8)]

    def inputs(self, text: str, shown: list[Image.Image]) -> dict:
        def rows(images: dict, i: int) -> str:
            height, width = (int(side) // 8 for side in images["image_sizes"][i])
            return "[IMG_BREAK]".join(["[IMG]" * width] * height) + "[IMG_END]"

        made = self.expanded(text, shown, "[IMG]", rows)
        return made | {"image_sizes": torch.as_tensor(np.asarray(made["image_sizes"]))}


CASES = {
    "smolvlm": Idefics3, "gemma3": Gemma3, "qwen2vl": Qwen2Vl, "qwen2_5vl": Qwen25Vl, "qwen3vl": Qwen3Vl, "llava": Llava, "internvl": InternVl,
    "lfm2vl": Lfm2Vl, "qwen3_5vl": Qwen35Vl, "mistral3": Mistral3,
}


def b64(tensor: torch.Tensor) -> str:
    return base64.b64encode(tensor.float().numpy().astype("<f4").tobytes()).decode()


def preprocessing(case: Case) -> list[dict]:
    out = []
    for width, height in SHAPES:
        shape = {"width": width, "height": height}
        try:
            made = case.images(picture(width, height), do_rescale=False, do_normalize=False, return_tensors="np")
        except (ValueError, RuntimeError):
            out.append(shape | {"tiles": 0, "sha256": None})
            continue
        if not case.exact:
            every = np.concatenate([np.asarray(tile).astype(np.uint8).reshape(-1) for tile in case.tiles(made)])
            sample = every[:: max(1, len(every) // SAMPLES)]
            out.append(shape | {"tiles": len(case.tiles(made)), "bytes": len(every), "sample": base64.b64encode(sample.tobytes()).decode()})
            continue
        digest = hashlib.sha256()
        tiles = case.tiles(made)
        for tile in tiles:
            digest.update(np.ascontiguousarray(np.asarray(tile).astype(np.uint8)).tobytes())
        out.append(shape | {"tiles": len(tiles), "sha256": digest.hexdigest()})
    return out


def features_of(model: torch.nn.Module, inputs: dict) -> torch.Tensor:
    names = ("pixel_values", "image_grid_thw", "pixel_attention_mask", "spatial_shapes", "image_sizes")
    given = {name: inputs[name] for name in names if name in inputs}
    found = model.model.get_image_features(**given).pooler_output
    found = torch.cat(list(found)) if isinstance(found, (list, tuple)) else found
    return found.reshape(-1, found.shape[-1])


def write(folder: Path, name: str, seed: int) -> bool:
    """False where the two best ids of a greedy step are too close for another order of sums to agree."""
    case = CASES[name]()
    case.config._attn_implementation = "eager"
    torch.manual_seed(seed)
    model = case.model(case.config).eval().float()
    randomise(model, seed)
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    model.save_pretrained(target)
    (target / "generation_config.json").unlink(missing_ok=True)
    case.words.save_pretrained(target)
    case.images.save_pretrained(target)

    messages = [{"role": "user", "content": [
        {"type": "image"}, {"type": "text", "text": "Which of them? "}, {"type": "image"}, {"type": "text", "text": "Say."},
    ]}]
    template = case.words.chat_template
    text = case.words.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, chat_template=template)
    inputs = case.inputs(text, [picture(*shape) for shape in case.shown])
    inputs = {key: value.double() if torch.is_floating_point(value) else value for key, value in inputs.items()}
    model = model.double()
    with torch.no_grad():
        features = features_of(model, inputs)
        ids = inputs["input_ids"]
        prompt = ids.shape[1]
        margin = math.inf
        first = None
        for _ in range(GREEDY):
            logits = model(input_ids=ids, use_cache=False, **case.more(inputs, ids.shape[1])).logits[0]
            first = logits if first is None else first
            best = logits[-1].topk(2)
            margin = min(margin, float(best.values[0] - best.values[1]))
            ids = torch.cat([ids, best.indices[None, :1]], dim=1)
    if margin < MARGIN:
        return False
    positions = [0, 8, 9, prompt // 2, prompt - 1]
    expected = {
        "upstream": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0], "pillow": PIL.__version__},
        "seed": seed, "margin": round(margin, 4), "shown": case.shown, "preprocessing": preprocessing(case),
        "ids": ids[0, :prompt].tolist(), "generated": ids[0, prompt:].tolist(), "positions": positions,
        "logits": b64(first[positions]), "embeddings": b64(features),
    }
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters, seed {seed}, {prompt} ids, least margin {margin:.4f}")
    return True


def main() -> None:
    if int(PIL.__version__.split(".")[0]) > 12:
        raise SystemExit(f"Pillow {PIL.__version__} resizes in another order; install 12.2.0")
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "test/fixtures/vision-models")
    for name in sys.argv[2:] or CASES:
        seed = 1
        while not write(folder, name, seed):
            seed += 100


if __name__ == "__main__":
    main()
