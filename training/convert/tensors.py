"""Every tensor of a model of the UniPic graph: what it is called in the official files, its shape there, and what it becomes in ours."""

from collections.abc import Iterator
from dataclasses import dataclass

from models import LanguageModel, Model, Siglip, Vae

MATRIX, CONVOLUTION, VECTOR, TABLE = "matrix", "convolution", "vector", "table"
LANGUAGE, MAR, SIGLIP, VAE = "language", "mar", "siglip", "vae"  # parts; MAR is the head and the projections too


@dataclass(frozen=True)
class Entry:
    """`official` is the name in the flat checkpoint, and for the VAE in kl16.ckpt."""

    part: str
    official: str
    shape: tuple[int, ...]
    name: str
    kind: str

    @property
    def stored(self) -> tuple[int, ...]:
        """Shape in our file: convolutions as matrices, leading ones of tables dropped."""
        if self.kind == CONVOLUTION:
            out, channels, height, width = self.shape
            return (out, height * width * channels)
        return self.shape[1:] if self.kind == TABLE and len(self.shape) == 3 else self.shape


# What official files hold and this graph does not use: names or prefixes, with the reason.
UNUSED = {
    "mar.class_emb.": "classes of ImageNet, from the pretraining of MAR",
    "siglip2.vision_model.head.": "SigLIP's pooling head; the tokens before it are used",
    "siglip2.logit_": "SigLIP's contrastive loss",
    "siglip2.text_model.": "SigLIP's text tower",
    "vae.": "a copy of the VAE, which kl16.ckpt has",
}

PROJECTIONS = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v"}


def tensors(model: Model) -> Iterator[Entry]:
    """In the order in which they stand in the file: parts in the order in which they are run."""
    yield from _language(model.language)
    yield from _mar(model)
    if model.siglip is not None:
        yield from _siglip(model.siglip, model.language.width)
    yield from _vae(model.vae, model.token_channels)


def _linear(part: str, official: str, name: str, rows: int, columns: int, bias: bool = True) -> Iterator[Entry]:
    yield Entry(part, f"{official}.weight", (rows, columns), f"{name}.weight", MATRIX)
    if bias:
        yield Entry(part, f"{official}.bias", (rows,), f"{name}.bias", VECTOR)


def _norm(part: str, official: str, name: str, width: int) -> Iterator[Entry]:
    yield Entry(part, f"{official}.weight", (width,), f"{name}.weight", VECTOR)
    yield Entry(part, f"{official}.bias", (width,), f"{name}.bias", VECTOR)


def _language(c: LanguageModel) -> Iterator[Entry]:
    kv = c.width // c.heads * c.kv_heads
    yield Entry(LANGUAGE, "llm.model.embed_tokens.weight", (c.vocabulary, c.width), "token_embd.weight", MATRIX)
    for layer in range(c.layers):
        theirs, ours = f"llm.model.layers.{layer}", f"blk.{layer}"
        yield Entry(LANGUAGE, f"{theirs}.input_layernorm.weight", (c.width,), f"{ours}.attn_norm.weight", VECTOR)
        for their, our in PROJECTIONS.items():
            yield from _linear(LANGUAGE, f"{theirs}.self_attn.{their}", f"{ours}.{our}", c.width if their == "q_proj" else kv, c.width)
        yield from _linear(LANGUAGE, f"{theirs}.self_attn.o_proj", f"{ours}.attn_output", c.width, c.width, bias=False)
        yield Entry(LANGUAGE, f"{theirs}.post_attention_layernorm.weight", (c.width,), f"{ours}.ffn_norm.weight", VECTOR)
        yield from _linear(LANGUAGE, f"{theirs}.mlp.gate_proj", f"{ours}.ffn_gate", c.mlp, c.width, bias=False)
        yield from _linear(LANGUAGE, f"{theirs}.mlp.up_proj", f"{ours}.ffn_up", c.mlp, c.width, bias=False)
        yield from _linear(LANGUAGE, f"{theirs}.mlp.down_proj", f"{ours}.ffn_down", c.width, c.mlp, bias=False)
    yield Entry(LANGUAGE, "llm.model.norm.weight", (c.width,), "output_norm.weight", VECTOR)
    if not c.tied:
        yield Entry(LANGUAGE, "llm.lm_head.weight", (c.vocabulary, c.width), "output.weight", MATRIX)


def _mar(model: Model) -> Iterator[Entry]:
    c, head, channels, hidden = model.mar, model.diffusion, model.token_channels, model.language.width
    w, n = c.width, c.grid * c.grid

    def linear(name: str, rows: int, columns: int) -> Iterator[Entry]:
        return _linear(MAR, name, name, rows, columns)

    def norm(name: str, width: int) -> Iterator[Entry]:
        return _norm(MAR, name, name, width)

    def table(name: str, *shape: int) -> Entry:
        return Entry(MAR, name, shape, name, TABLE)

    yield table("mar.fake_latent", 1, w)
    yield table("mar.mask_token", 1, 1, w)
    yield table("mar.encoder_pos_embed_learned", 1, c.buffers + n, w)
    yield table("mar.decoder_pos_embed_learned", 1, c.buffers + n, w)
    yield table("mar.diffusion_pos_embed_learned", 1, n, w)
    yield from linear("mar.z_proj", w, channels)
    yield from norm("mar.z_proj_ln", w)
    for side, blocks in ("encoder", c.encoder_blocks), ("decoder", c.decoder_blocks):
        if side == "decoder":
            yield from linear("mar.decoder_embed", w, w)
        for i in range(blocks):
            block = f"mar.{side}_blocks.{i}"
            yield from norm(f"{block}.norm1", w)
            yield from linear(f"{block}.attn.qkv", 3 * w, w)
            yield from linear(f"{block}.attn.proj", w, w)
            yield from norm(f"{block}.norm2", w)
            yield from linear(f"{block}.mlp.fc1", c.mlp, w)
            yield from linear(f"{block}.mlp.fc2", w, c.mlp)
        yield from norm(f"mar.{side}_norm", w)
    net, h = "mar.diffloss.net", head.width
    yield from linear(f"{net}.time_embed.mlp.0", h, 256)
    yield from linear(f"{net}.time_embed.mlp.2", h, h)
    yield from linear(f"{net}.cond_embed", h, w)
    yield from linear(f"{net}.input_proj", h, channels)
    for i in range(head.blocks):
        yield from norm(f"{net}.res_blocks.{i}.in_ln", h)
        yield from linear(f"{net}.res_blocks.{i}.mlp.0", h, h)
        yield from linear(f"{net}.res_blocks.{i}.mlp.2", h, h)
        yield from linear(f"{net}.res_blocks.{i}.adaLN_modulation.1", 3 * h, h)
    yield from linear(f"{net}.final_layer.adaLN_modulation.1", 2 * h, h)
    yield from linear(f"{net}.final_layer.linear", 2 * channels, h)
    yield from linear("proj_in.0", hidden, w)
    yield from linear("proj_in.2", hidden, hidden)
    yield from linear("proj_out.0", hidden, hidden)
    yield from linear("proj_out.2", w, hidden)
    if model.siglip is not None:
        yield from linear("siglip2_proj.0", hidden, model.siglip.width)
        yield from linear("siglip2_proj.2", hidden, hidden)


def _siglip(c: Siglip, hidden: int) -> Iterator[Entry]:
    theirs, ours, v = "siglip2.vision_model", "siglip2", c.width
    patch = "embeddings.patch_embedding"
    yield Entry(SIGLIP, f"{theirs}.{patch}.weight", (v, 3, c.patch, c.patch), f"{ours}.{patch}.weight", CONVOLUTION)
    yield Entry(SIGLIP, f"{theirs}.{patch}.bias", (v,), f"{ours}.{patch}.bias", VECTOR)
    position = "embeddings.position_embedding.weight"
    yield Entry(SIGLIP, f"{theirs}.{position}", (c.positions, v), f"{ours}.{position}", TABLE)
    for layer in range(c.layers):
        at = f"encoder.layers.{layer}"
        yield from _norm(SIGLIP, f"{theirs}.{at}.layer_norm1", f"{ours}.{at}.layer_norm1", v)
        for which in ("q", "k", "v", "out"):
            yield from _linear(SIGLIP, f"{theirs}.{at}.self_attn.{which}_proj", f"{ours}.{at}.self_attn.{which}_proj", v, v)
        yield from _norm(SIGLIP, f"{theirs}.{at}.layer_norm2", f"{ours}.{at}.layer_norm2", v)
        yield from _linear(SIGLIP, f"{theirs}.{at}.mlp.fc1", f"{ours}.{at}.mlp.fc1", c.mlp, v)
        yield from _linear(SIGLIP, f"{theirs}.{at}.mlp.fc2", f"{ours}.{at}.mlp.fc2", v, c.mlp)
    yield from _norm(SIGLIP, f"{theirs}.post_layernorm", f"{ours}.post_layernorm", v)


def _vae(c: Vae, z: int) -> Iterator[Entry]:
    widths = [c.channels * m for m in c.multipliers]
    last = len(widths) - 1

    def conv(name: str, rows: int, channels: int, kernel: int) -> Iterator[Entry]:
        yield Entry(VAE, f"{name}.weight", (rows, channels, kernel, kernel), f"vae.{name}.weight", CONVOLUTION)
        yield Entry(VAE, f"{name}.bias", (rows,), f"vae.{name}.bias", VECTOR)

    def norm(name: str, width: int) -> Iterator[Entry]:
        return _norm(VAE, name, f"vae.{name}", width)

    def residual(name: str, rows: int, channels: int) -> Iterator[Entry]:
        yield from norm(f"{name}.norm1", channels)
        yield from conv(f"{name}.conv1", rows, channels, 3)
        yield from norm(f"{name}.norm2", rows)
        yield from conv(f"{name}.conv2", rows, rows, 3)
        if rows != channels:
            yield from conv(f"{name}.nin_shortcut", rows, channels, 1)

    def attention(name: str, width: int) -> Iterator[Entry]:
        yield from norm(f"{name}.norm", width)
        for which in ("q", "k", "v", "proj_out"):
            yield from conv(f"{name}.{which}", width, width, 1)

    def middle(side: str) -> Iterator[Entry]:
        yield from residual(f"{side}.mid.block_1", widths[last], widths[last])
        yield from attention(f"{side}.mid.attn_1", widths[last])
        yield from residual(f"{side}.mid.block_2", widths[last], widths[last])

    yield from conv("encoder.conv_in", c.channels, 3, 3)
    width = c.channels
    for level, out in enumerate(widths):
        for block in range(c.residual_blocks):
            yield from residual(f"encoder.down.{level}.block.{block}", out, width)
            width = out
            if level == last:
                yield from attention(f"encoder.down.{level}.attn.{block}", out)
        if level != last:
            yield from conv(f"encoder.down.{level}.downsample.conv", out, out, 3)
    yield from middle("encoder")
    yield from norm("encoder.norm_out", width)
    yield from conv("encoder.conv_out", 2 * z, width, 3)
    yield from conv("quant_conv", 2 * z, 2 * z, 1)
    yield from conv("post_quant_conv", z, z, 1)
    yield from conv("decoder.conv_in", width, z, 3)
    yield from middle("decoder")
    for level in reversed(range(len(widths))):
        for block in range(c.residual_blocks + 1):
            yield from residual(f"decoder.up.{level}.block.{block}", widths[level], width)
            width = widths[level]
        if level != 0:
            yield from conv(f"decoder.up.{level}.upsample.conv", width, width, 3)
    yield from norm("decoder.norm_out", width)
    yield from conv("decoder.conv_out", 3, width, 3)
