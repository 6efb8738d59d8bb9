"""PyTorch's side of `npm run bench -- paint`: the same graph in f32, eager, with random weights, stage by stage. Upstream's work: both rows of
guidance through everything; only the prompts' KV cache is kept. Jobs are lines of JSON on stdin, answers on stdout (milliseconds).

    python torch_paint.py harmon-0.5b
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import DynamicCache, Qwen2Config, Qwen2Model

TRAINING = Path(__file__).parent.parent.parent / "training"
sys.path[:0] = [str(TRAINING / "parity"), str(TRAINING / "convert")]

from models import OFFICIAL, Model
from unipic_diffusion import schedule
from unipic_graph import Attention, Mar, mlp, silent
from unipic_vae import Vae

T = TypeVar("T")
ROWS = 2  # the prompt's and the unconditional one
IDS = 1024  # rows of the embedding table, of which a prompt reads a few
GUIDANCE = 3.0


def fused(self: Attention, x: Tensor) -> Tensor:
    """The same attention by PyTorch's own kernel, which upstream uses."""
    r, t, w = x.shape
    q, k, v = self.qkv(x).view(r, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
    return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(r, t, w))


Attention.forward = fused


class UniPic(nn.Module):
    def __init__(self, model: Model):
        super().__init__()
        lm, w = model.language, model.mar.width
        self.model = model
        self.llm = Qwen2Model(
            Qwen2Config(
                vocab_size=IDS,
                hidden_size=lm.width,
                intermediate_size=lm.mlp,
                num_hidden_layers=lm.layers,
                num_attention_heads=lm.heads,
                num_key_value_heads=lm.kv_heads,
                max_position_embeddings=lm.context,
                rms_norm_eps=lm.epsilon,
                rope_parameters={"rope_type": "default", "rope_theta": lm.theta},
                attn_implementation="sdpa",
            )
        )
        self.mar = Mar(model)
        self.proj_in = mlp(w, lm.width, lm.width)
        self.proj_out = mlp(lm.width, lm.width, w)
        self.vae = Vae(model.vae, model.token_channels)

    def prefill(self, lengths: list[int]) -> tuple[DynamicCache, Tensor]:
        """Prompts of so many tokens, padded on the right: their cache and their mask (R, T)."""
        longest = max(lengths)
        ids = torch.arange(longest).expand(len(lengths), -1) % IDS
        mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
        cache = DynamicCache()
        self.llm(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True)
        return cache, mask

    def fuse(self, x: Tensor, cache: DynamicCache, mask: Tensor) -> Tensor:
        """x (R, B + K, W) with what the language model makes of it behind the prompts."""
        buffers, start = self.model.mar.buffers, cache.get_seq_length()
        rows = self.proj_in(x).roll(-buffers, dims=1)
        seen = torch.cat([mask, mask.new_ones(len(x), x.shape[1])], dim=1)
        position = mask.sum(1, keepdim=True) + torch.arange(x.shape[1])
        states = self.llm(inputs_embeds=rows, attention_mask=seen, position_ids=position, past_key_values=cache, use_cache=True).last_hidden_state
        cache.crop(start - cache.get_seq_length())
        return x + self.proj_out(states.roll(buffers, dims=1))

    def denoise(self, z: Tensor, x: Tensor, table: list[list[float]], noise: Tensor) -> Tensor:
        """z (R, n, W), x (n, C), noise (steps, n, C): the first steps of a chain, both rows through the head."""
        head, (n, channels) = self.mar.diffloss.net, x.shape
        for step, row in enumerate(table):
            t, _, _, x0_from_x, x0_from_eps, mean_from_x0, mean_from_x, low, high = row
            out = head(x.repeat(len(z), 1), torch.full((len(z) * n,), t), z.flatten(0, 1)).view(len(z), n, 2 * channels)
            eps = out[1, :, :channels] + GUIDANCE * (out[0, :, :channels] - out[1, :, :channels])
            mix = (out[0, :, channels:] + 1) / 2
            mean = mean_from_x0 * (x0_from_x * x - x0_from_eps * eps) + mean_from_x * x
            x = mean + noise[step] * torch.exp((mix * high + (1 - mix) * low) / 2)
        return x

    def paint(self, tokens: Tensor) -> Tensor:
        """tokens (R, N, C) to pixels (R, 3, S, S): `Vae.decode` for several pictures."""
        r, n, c = tokens.shape
        grid = round(n**0.5)
        z = (tokens / self.model.vae.latent_scale).transpose(1, 2).reshape(r, c, grid, grid)
        return self.vae.decoder(self.vae.post_quant_conv(z), silent)


def build(model: Model) -> UniPic:
    """Weights are a tile of noise again and again, scaled so that nothing overflows."""
    with torch.device("meta"):
        unipic = UniPic(model)
    unipic = unipic.to_empty(device="cpu").eval().requires_grad_(False)
    # A buffer that `to_empty` left undefined.
    unipic.llm.rotary_emb = type(unipic.llm.rotary_emb)(unipic.llm.config)
    tile = torch.randn(1 << 16, generator=torch.Generator().manual_seed(1))
    for name, parameter in unipic.named_parameters():
        flat = parameter.view(-1)
        scale = 0.1 if parameter.ndim == 1 else 1 / math.sqrt(math.prod(parameter.shape[1:]))
        scaled = tile * scale
        for start in range(0, len(flat), len(tile)):
            piece = flat[start : start + len(tile)]
            piece.copy_(scaled[: len(piece)])
        if parameter.ndim == 1 and name.endswith("weight"):
            flat += 1
    return unipic


def parameters(unipic: UniPic) -> dict[str, int]:
    """By part, as the other side counts them: with the whole embedding table."""
    counts = {"language": (unipic.model.language.vocabulary - IDS) * unipic.model.language.width, "mar": 0, "vae": 0}
    for name, parameter in unipic.named_parameters():
        counts["language" if name.startswith("llm.") else "vae" if name.startswith("vae.") else "mar"] += parameter.numel()
    return counts


def timed(body: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = body()
    return 1000 * (time.perf_counter() - start), result


def measure(unipic: UniPic, job: dict) -> dict:
    """`rounds`: numbers of known tokens; `predicted`: numbers of positions that the head is timed with. Steps of the head, pictures of the decoder."""
    torch.set_num_threads(job["threads"])
    model, grid = unipic.model, job["size"] // unipic.model.vae.stride
    n, c, w = grid * grid, model.token_channels, model.mar.width
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn((ROWS, n, c), generator=generator)
    prompt, (cache, mask) = timed(lambda: unipic.prefill(job["prompts"]))
    rounds = []
    for count in job["rounds"]:
        known = torch.randperm(n, generator=generator)[:count].sort().values
        encoder, x = timed(lambda: unipic.mar.encode(tokens, known, grid))
        once, _ = timed(lambda: unipic.mar.encode(tokens[:1], known, grid))
        language, x = timed(lambda: unipic.fuse(x, cache, mask))
        decoder, z = timed(lambda: unipic.mar.decode(x, known, grid))
        assert bool(torch.isfinite(z).all())
        rounds.append({"known": count, "encoder": encoder, "encoderOnce": once, "language": language, "decoder": decoder})
    table = [[float(v) for v in row] for row in reversed(schedule(model.diffusion.train_steps, model.diffusion.max_beta, job["diffusionSteps"]))][: job["steps"]]
    head = []
    for count in job["predicted"]:
        z = torch.randn((ROWS, count, w), generator=generator)
        noise = torch.randn((len(table), count, c), generator=generator)
        total, x = timed(lambda: unipic.denoise(z, tokens[0, :count], table, noise))
        assert bool(torch.isfinite(x).all())
        head.append({"predicted": count, "step": total / len(table)})
    decode, pixels = timed(lambda: unipic.paint(tokens))
    once, _ = timed(lambda: unipic.paint(tokens[:1]))
    assert bool(torch.isfinite(pixels).all())
    return {"prompt": prompt, "rounds": rounds, "head": head, "decode": decode, "decodeOnce": once}


def lines() -> Iterator[dict]:
    for line in sys.stdin:
        yield json.loads(line)


def main() -> None:
    start = time.perf_counter()
    torch.set_num_threads(1)
    unipic = build(OFFICIAL[sys.argv[1]])
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__}
    print(json.dumps({"parameters": parameters(unipic), "versions": versions, "milliseconds": 1000 * (time.perf_counter() - start)}), flush=True)
    with torch.inference_mode():
        for job in lines():
            print(json.dumps(measure(unipic, job)), flush=True)


if __name__ == "__main__":
    main()
