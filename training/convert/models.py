"""Shapes of the models of the UniPic graph, and the GGUF metadata that states them (docs/unipic-format.md).

The official ones are written down from their public configurations; a converted checkpoint's own numbers are read from its tensors and
its language model's config.json, so that a fine-tuned or differently sized checkpoint converts as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass

TURN = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"

# Qwen's own template adds a system turn that these models were not trained with.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

TEMPLATES = {
    "paint": TURN.format("Generate an image: {prompt}"),
    "paint_unconditional": TURN.format("Generate an image."),
    "edit": TURN.format("{image}\n{instruction}"),
    "edit_unconditional": TURN.format("{image}\nRepeat this image."),
}


@dataclass(frozen=True)
class LanguageModel:
    """A Qwen2 decoder; heads are width / heads wide."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    mlp: int
    tied: bool = True
    theta: float = 1e6
    epsilon: float = 1e-6
    context: int = 32768


@dataclass(frozen=True)
class Mar:
    width: int
    mlp: int
    encoder_blocks: int
    decoder_blocks: int
    heads: int
    grid: int
    buffers: int = 64
    epsilon: float = 1e-6


@dataclass(frozen=True)
class Diffusion:
    width: int
    blocks: int
    max_beta: float
    train_steps: int = 1000
    prediction: str = "eps"


@dataclass(frozen=True)
class Vae:
    """KL autoencoder; its stride is 2 to the number of levels less one."""

    channels: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    residual_blocks: int = 2
    groups: int = 32
    epsilon: float = 1e-6
    latent_scale: float = 0.2325  # token = mean * latent_scale

    @property
    def stride(self) -> int:
        return 2 ** (len(self.multipliers) - 1)


@dataclass(frozen=True)
class Siglip:
    width: int = 1152
    mlp: int = 4304
    layers: int = 27
    heads: int = 16
    image_size: int = 512
    patch: int = 16
    epsilon: float = 1e-6

    @property
    def positions(self) -> int:
        return (self.image_size // self.patch) ** 2


@dataclass(frozen=True)
class Model:
    name: str
    language: LanguageModel
    mar: Mar
    diffusion: Diffusion
    vae: Vae
    siglip: Siglip | None
    image_sizes: tuple[int, ...]
    default_size: int
    image_token_id: int = 151665
    token_channels: int = 16
    understanding: str = "mar"
    iterations: int = 32
    diffusion_steps: int = 100
    guidance: float = 3.0


QWEN_0_5B = LanguageModel(vocabulary=151936, width=896, layers=24, heads=14, kv_heads=2, mlp=4864)
QWEN_1_5B = LanguageModel(vocabulary=151936, width=1536, layers=28, heads=12, kv_heads=2, mlp=8960)

OFFICIAL = {
    "unipic-1.5b": Model(
        name="UniPic 1.5B",
        language=QWEN_1_5B,
        mar=Mar(width=1280, mlp=5120, encoder_blocks=20, decoder_blocks=20, heads=16, grid=32),
        diffusion=Diffusion(width=1536, blocks=12, max_beta=0.2),
        vae=Vae(),
        siglip=Siglip(),
        image_sizes=(256, 512, 1024),
        default_size=1024,
    ),
    "harmon-1.5b": Model(
        name="Harmon 1.5B",
        language=QWEN_1_5B,
        mar=Mar(width=1280, mlp=5120, encoder_blocks=20, decoder_blocks=20, heads=16, grid=16),
        diffusion=Diffusion(width=1536, blocks=12, max_beta=0.999),
        vae=Vae(),
        siglip=None,
        image_sizes=(256, 512),
        default_size=512,
    ),
    "harmon-0.5b": Model(
        name="Harmon 0.5B",
        language=QWEN_0_5B,
        mar=Mar(width=768, mlp=3072, encoder_blocks=12, decoder_blocks=12, heads=12, grid=16),
        diffusion=Diffusion(width=1024, blocks=6, max_beta=0.999),
        vae=Vae(),
        siglip=None,
        image_sizes=(256, 512),
        default_size=512,
    ),
}


def metadata(model: Model) -> Iterator[tuple[str, str, object]]:
    """(key, GGUF type, value) of everything but the tokenizer and `general.*`. Types: u32, f32, string, u32[], f32[]."""
    lm, mar, diffusion, vae, siglip = model.language, model.mar, model.diffusion, model.vae, model.siglip
    yield "qwen2.block_count", "u32", lm.layers
    yield "qwen2.context_length", "u32", lm.context
    yield "qwen2.embedding_length", "u32", lm.width
    yield "qwen2.feed_forward_length", "u32", lm.mlp
    yield "qwen2.attention.head_count", "u32", lm.heads
    yield "qwen2.attention.head_count_kv", "u32", lm.kv_heads
    yield "qwen2.attention.layer_norm_rms_epsilon", "f32", lm.epsilon
    yield "qwen2.rope.freq_base", "f32", lm.theta
    yield "qwen2.vocab_size", "u32", lm.vocabulary
    yield "unipic.language_model", "string", "qwen2"
    yield "unipic.image_token_id", "u32", model.image_token_id
    yield "unipic.image_sizes", "u32[]", model.image_sizes
    yield "unipic.default_size", "u32", model.default_size
    yield "unipic.patch_size", "u32", vae.stride
    yield "unipic.token_channels", "u32", model.token_channels
    yield "unipic.mar.embedding_length", "u32", mar.width
    yield "unipic.mar.feed_forward_length", "u32", mar.mlp
    yield "unipic.mar.encoder_block_count", "u32", mar.encoder_blocks
    yield "unipic.mar.decoder_block_count", "u32", mar.decoder_blocks
    yield "unipic.mar.head_count", "u32", mar.heads
    yield "unipic.mar.buffer_count", "u32", mar.buffers
    yield "unipic.mar.grid", "u32", mar.grid
    yield "unipic.mar.layer_norm_epsilon", "f32", mar.epsilon
    yield "unipic.diffusion.width", "u32", diffusion.width
    yield "unipic.diffusion.block_count", "u32", diffusion.blocks
    yield "unipic.diffusion.train_steps", "u32", diffusion.train_steps
    yield "unipic.diffusion.max_beta", "f32", diffusion.max_beta
    yield "unipic.diffusion.prediction", "string", diffusion.prediction
    yield "unipic.vae.kind", "string", "kl"
    yield "unipic.vae.channels", "u32", vae.channels
    yield "unipic.vae.multipliers", "u32[]", vae.multipliers
    yield "unipic.vae.residual_blocks", "u32", vae.residual_blocks
    yield "unipic.vae.groups", "u32", vae.groups
    yield "unipic.vae.epsilon", "f32", vae.epsilon
    yield "unipic.vae.latent_mean", "f32[]", (0.0,) * model.token_channels
    yield "unipic.vae.latent_std", "f32[]", (1 / vae.latent_scale,) * model.token_channels
    if siglip is not None:
        yield "unipic.siglip.embedding_length", "u32", siglip.width
        yield "unipic.siglip.feed_forward_length", "u32", siglip.mlp
        yield "unipic.siglip.block_count", "u32", siglip.layers
        yield "unipic.siglip.head_count", "u32", siglip.heads
        yield "unipic.siglip.image_size", "u32", siglip.image_size
        yield "unipic.siglip.patch_size", "u32", siglip.patch
        yield "unipic.siglip.layer_norm_epsilon", "f32", siglip.epsilon
    yield "unipic.understanding", "string", model.understanding
    yield "unipic.paint.iterations", "u32", model.iterations
    yield "unipic.paint.diffusion_steps", "u32", model.diffusion_steps
    yield "unipic.paint.guidance", "f32", model.guidance
    for name, template in TEMPLATES.items():
        yield f"unipic.template.{name}", "string", template
