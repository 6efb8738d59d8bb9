"""A tiny model of the UniPic graph with random weights, and what it does: seeing, painting, editing.

Qwen2 and SigLIP are those of `transformers`; the rest is unipic_graph.py and unipic_vae.py. Weights are exact in f16, so that a file in
F16 holds the same model. R rows (prompts), N image tokens, B buffers, K known tokens, D language model width, V SigLIP width.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DynamicCache, Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig, SiglipVisionModel

from models import Diffusion, LanguageModel, Model, Siglip, Vae
from models import Mar as MarShape
from tensors import LANGUAGE, VAE, Entry, tensors
from unipic_diffusion import Sampling, sample
from unipic_graph import Head, Mar, Record, mlp, silent
from unipic_vae import Vae as Autoencoder

# Head widths 80 and 72 are the official ones; 36 tokens are the native grid, 16 and 64 interpolate the position tables down and up.
TINY = Model(
    name="tiny",
    language=LanguageModel(vocabulary=320, width=64, layers=3, heads=4, kv_heads=2, mlp=96, context=1024),
    mar=MarShape(width=160, mlp=96, encoder_blocks=2, decoder_blocks=2, heads=2, grid=6, buffers=8),
    diffusion=Diffusion(width=64, blocks=3, max_beta=0.2),
    vae=Vae(channels=32, multipliers=(1, 2, 1), residual_blocks=1, groups=8),
    siglip=Siglip(width=144, mlp=96, layers=2, heads=2, image_size=32, patch=8),
    image_sizes=(16, 24, 32),
    default_size=24,
    image_token_id=315,
    iterations=4,
    diffusion_steps=50,
)


class UniPic(nn.Module):
    def __init__(self, model: Model):
        super().__init__()
        self.model = model
        lm, siglip, w = model.language, model.siglip, model.mar.width
        assert siglip is not None
        self.llm = Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=lm.vocabulary,
                hidden_size=lm.width,
                intermediate_size=lm.mlp,
                num_hidden_layers=lm.layers,
                num_attention_heads=lm.heads,
                num_key_value_heads=lm.kv_heads,
                max_position_embeddings=lm.context,
                rms_norm_eps=lm.epsilon,
                rope_parameters={"rope_type": "default", "rope_theta": lm.theta},
                tie_word_embeddings=lm.tied,
                attn_implementation="eager",
            )
        )
        self.mar = Mar(model)
        self.proj_in = mlp(w, lm.width, lm.width)
        self.proj_out = mlp(lm.width, lm.width, w)
        self.siglip2 = nn.Module()
        self.siglip2.vision_model = SiglipVisionModel(
            SiglipVisionConfig(
                hidden_size=siglip.width,
                intermediate_size=siglip.mlp,
                num_hidden_layers=siglip.layers,
                num_attention_heads=siglip.heads,
                image_size=siglip.image_size,
                patch_size=siglip.patch,
                layer_norm_eps=siglip.epsilon,
                hidden_act="gelu_pytorch_tanh",
                attn_implementation="eager",
            )
        )
        self.siglip2_proj = mlp(siglip.width, lm.width, lm.width)
        self.vae = Autoencoder(model.vae, model.token_channels)

    def value(self, entry: Entry) -> Tensor:
        """The tensor under its official name."""
        return self.state_dict()[f"vae.{entry.official}" if entry.part == VAE else entry.official]

    # Seeing

    def visual(self, x_enc: Tensor) -> Tensor:
        """(R, B + K, W) to what the language model reads: (R, K + B, D), buffers last."""
        return self.proj_in(x_enc).roll(-self.model.mar.buffers, dims=1)

    def see_mar(self, pixels: Tensor, record: Record = silent) -> tuple[Tensor, Tensor]:
        """pixels (1, 3, S, S): x_enc (1, B + N, W) and the language model's tokens (N + B, D)."""
        tokens = self.vae.encode(pixels)
        record("tokens", tokens)
        grid = round(len(tokens) ** 0.5)
        x_enc = self.mar.encode(tokens[None], torch.arange(len(tokens)), grid, record)
        visual = self.visual(x_enc)[0]
        record("visual", visual)
        return x_enc, visual

    def see_siglip(self, pixels: Tensor, record: Record = silent) -> Tensor:
        """pixels (1, 3, S, S): (positions, D)."""
        tower = self.siglip2.vision_model
        output = tower(pixels, output_hidden_states=True)
        for i, state in enumerate(output.hidden_states):
            record("embeddings" if i == 0 else f"layer.{i - 1}", state[0])
        record("output", output.last_hidden_state[0])
        visual = self.siglip2_proj(output.last_hidden_state)[0]
        record("visual", visual)
        return visual

    def embed(self, ids: Tensor, visual: Tensor | None = None) -> Tensor:
        """ids (T) to (T, D), placeholders replaced by `visual`'s rows in their order."""
        out = self.llm.model.embed_tokens(ids)
        if visual is not None:
            out[ids == self.model.image_token_id] = visual
        return out

    def prefill(self, embeddings: Tensor) -> tuple[DynamicCache, Tensor]:
        """(T, D) to the KV cache and the normalised states (T, D)."""
        cache = DynamicCache()
        return cache, self.llm.model(inputs_embeds=embeddings[None], past_key_values=cache, use_cache=True).last_hidden_state[0]

    def continued(self, cache: DynamicCache, embeddings: Tensor) -> tuple[list[Tensor], Tensor]:
        """(T, D) behind the cache, which stays as it was: every layer's output and the normalised states, (T, D) each."""
        layers: list[Tensor] = []
        hooks = [
            layer.register_forward_hook(lambda _, __, out: layers.append((out[0] if isinstance(out, tuple) else out)[0]))
            for layer in self.llm.model.layers
        ]
        start = cache.get_seq_length()
        states = self.llm.model(inputs_embeds=embeddings[None], past_key_values=cache, use_cache=True).last_hidden_state[0]
        cache.crop(start - cache.get_seq_length())
        for hook in hooks:
            hook.remove()
        return layers, states

    # Painting

    def fuse(self, x_enc: Tensor, prompts: list[DynamicCache], record: Record = silent) -> Tensor:
        """x_enc (1, B + K, W) read by the language model behind each prompt: (R, B + K, W)."""
        visual = self.visual(x_enc)[0]
        record("visual", visual)
        rows = [self.continued(cache, visual) for cache in prompts]
        for layer in range(self.model.language.layers):
            record(f"language.{layer}", torch.stack([layers[layer] for layers, _ in rows]))
        states = torch.stack([states for _, states in rows])
        record("language.norm", states)
        fused = x_enc + self.proj_out(states.roll(self.model.mar.buffers, dims=1))
        record("fused", fused)
        return fused

    def paint(self, prompts: list[DynamicCache], job: "Job", source: Tensor | None = None, record: Record = silent) -> Tensor:
        """Tokens (N, C). `record` gets the stages of every iteration under its number."""
        n = job.grid * job.grid
        dtype = self.mar.fake_latent.dtype
        tokens = torch.zeros(n, self.model.token_channels, dtype=dtype)
        for step, (known, predicted) in enumerate(job.plan()):

            def stage(name: str, value: Tensor, step: int = step) -> None:
                record(f"{step}.{name}", value)

            x_enc = self.mar.encode(tokens[None], known, job.grid, stage)
            fused = self.fuse(x_enc, prompts, stage)
            z = self.mar.decode(fused, known, job.grid, source, stage)
            initial, noise = job.initial[step].to(dtype), job.noise[step].to(dtype)
            tokens[predicted] = sample(self.mar.diffloss.net, z[:, predicted], initial, noise, job.sampling)
            stage("tokens", tokens.clone())
        return tokens


@dataclass(frozen=True)
class Job:
    """What painting needs beside the prompts: noise of iteration s is (n_s, C) and (steps, n_s, C), n_s being the number of tokens that it predicts."""

    grid: int
    order: list[int]
    iterations: int
    sampling: Sampling
    initial: list[Tensor]
    noise: list[Tensor]

    def plan(self) -> list[tuple[Tensor, Tensor]]:
        return plan(self.order, self.iterations)


def plan(order: list[int], iterations: int) -> list[tuple[Tensor, Tensor]]:
    """Known and predicted tokens of each iteration, ascending: the first of the order are unmasked last."""
    n = masked = len(order)
    out = []
    for step in range(iterations):
        left = max(1, min(masked - 1, math.floor(n * math.cos(math.pi / 2 * (step + 1) / iterations))))
        if step == iterations - 1:
            left = 0
        out.append((torch.tensor(sorted(order[masked:]), dtype=torch.long), torch.tensor(sorted(order[left:masked]), dtype=torch.long)))
        masked = left
    return out


def randomise(unipic: UniPic, seed: int) -> None:
    """Norms away from 1, biases away from 0, no zeroed layer."""
    generator = torch.Generator().manual_seed(seed)
    state = unipic.state_dict()
    for entry in tensors(unipic.model):
        value = state[f"vae.{entry.official}" if entry.part == VAE else entry.official]
        noise = torch.randn(value.shape, generator=generator)
        if value.ndim == 1:
            # Weights of norms are the only vectors of that name.
            new = 1 + 0.3 * noise if entry.official.endswith("weight") else 0.3 * noise
        elif entry.kind == "table":
            new = noise
        elif entry.name == "token_embd.weight":
            new = 0.2 * noise  # below what the layers add, or a tied head repeats the last token
        else:
            gain = 1.5 if entry.part == LANGUAGE else 1.0
            new = gain * noise / math.sqrt(math.prod(value.shape[1:]))
        value.copy_(new.half())
    with torch.no_grad():
        _denoising(unipic.mar.diffloss.net, generator)


def _denoising(head: Head, generator: torch.Generator) -> None:
    """Makes the prediction x and a little more: what a trained head finds in pure noise.

    Otherwise x grows by orders of magnitude along a chain and hides the noise added. A large bias keeps the norms near linear in x.
    """
    last, width = head.final_layer, head.input_proj.out_features
    c = head.input_proj.in_features
    basis = torch.linalg.qr(torch.randn((width, c + 1), generator=generator))[0]
    head.input_proj.weight.copy_((4 * basis[:, :c]).half())
    head.input_proj.bias.copy_((24 * basis[:, c]).half())
    last.linear.weight.mul_(0.3)
    last.linear.weight[:c] = 0.3 * last.linear.weight[:c] + 0.9 * basis[:, :c].T
    last.linear.bias.mul_(0.1)
    for layer in (last.adaLN_modulation[1], *(block.adaLN_modulation[1] for block in head.res_blocks)):
        layer.weight.mul_(0.25)
        layer.bias.mul_(0.5)
    for layer in (last.linear, last.adaLN_modulation[1], *(block.adaLN_modulation[1] for block in head.res_blocks)):
        layer.weight.copy_(layer.weight.half())
        layer.bias.copy_(layer.bias.half())
