"""The language model of nano: a Qwen2 decoder in plain PyTorch.

Follows the order and the tensor names of llama.cpp's qwen2, so that export.py is a rename only.
Shapes: B sequences, T positions, D width, H query heads, K key/value heads, C head width, F MLP width.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Config:
    """Hyperparameters, named as in Hugging Face's qwen2 config.json."""

    vocab_size: int = 2560
    hidden_size: int = 256
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    intermediate_size: int = 704
    rope_theta: float = 1e6
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 4096

    def to_dict(self) -> dict:
        return asdict(self)


def layers_of(state: dict[str, Tensor], start: str = "lm.layers.") -> int:
    """Decoder layers in weights."""
    return 1 + max(int(name.removeprefix(start).split(".")[0]) for name in state if name.startswith(start))


def deepened(state: dict[str, Tensor], layers: int, start: str = "lm.layers.") -> dict[str, Tensor]:
    """`state` with so many decoder layers. A new one stands behind an old one as its copy, but adds nothing until it is trained: what it writes to the residual is zero."""
    before = layers_of(state, start)
    found = {name: p for name, p in state.items() if not name.startswith(start)}
    made = 0
    for old in range(before):
        copies = (old + 1) * layers // before - made
        for copy in range(copies):
            for name, p in state.items():
                if name.startswith(own := f"{start}{old}."):
                    rest = name.removeprefix(own)
                    writes = rest in ("self_attn.o_proj.weight", "mlp.down_proj.weight")
                    found[f"{start}{made}.{rest}"] = torch.zeros_like(p) if copy and writes else p
            made += 1
    return found


class RMSNorm(nn.Module):
    """x / rms(x) * weight, computed in f32, returned in the type of the weights' consumers."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))  # (D,)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def rope_tables(length: int, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos and sin, (T, C) each, in the half-split ("neox") layout that qwen2 uses."""
    inverse = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * inverse[None]
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding of x (B, heads, T, C)."""
    low, high = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-high, low], dim=-1) * sin).to(x.dtype)


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal softmax attention of scaled q with k and v, all (B, H, T, C), by blocks of queries.

    Plain products by blocks are two to four times faster than PyTorch's fused kernel on a CPU in bf16; in f32 the fused kernel is twice as fast.
    """
    if q.dtype == torch.float32:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
    t = q.shape[2]
    n = min(t, 128 if t <= 512 else 256)
    later = torch.full((n, n), float("-inf"), device=q.device, dtype=q.dtype).triu(1)
    out = []
    for start in range(0, t, n):
        end = min(start + n, t)
        score = q[:, :, start:end] @ k[:, :, :end].transpose(-1, -2)
        score[..., start:end] += later[: end - start, : end - start]
        out.append(score.softmax(-1, dtype=q.dtype) @ v[:, :, :end])
    return torch.cat(out, dim=2)


class Attention(nn.Module):
    """Grouped-query causal self-attention with rotary positions and biases on q, k and v."""

    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        q, kv = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
        self.q_proj = nn.Linear(c.hidden_size, q)
        self.k_proj = nn.Linear(c.hidden_size, kv)
        self.v_proj = nn.Linear(c.hidden_size, kv)
        self.o_proj = nn.Linear(q, c.hidden_size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Causal attention of x (B, T, D)."""
        c, (b, t, _) = self.c, x.shape
        group = c.num_attention_heads // c.num_key_value_heads
        q = self.q_proj(x).view(b, t, c.num_attention_heads, c.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(b, t, c.num_key_value_heads, c.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(b, t, c.num_key_value_heads, c.head_dim).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k = k[:, :, None].expand(b, c.num_key_value_heads, group, t, c.head_dim).reshape(q.shape)
        v = v[:, :, None].expand(b, c.num_key_value_heads, group, t, c.head_dim).reshape(q.shape)
        y = causal_attention(q * c.head_dim**-0.5, k, v)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class Mlp(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.up_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.input_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.mlp = Mlp(c)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Nano(nn.Module):
    """Token ids to hidden states; logits are `hidden @ embed_tokens.weight.T` (tied)."""

    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(Block(c) for _ in range(c.num_hidden_layers))
        self.norm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        cos, sin = rope_tables(c.max_position_embeddings, c.head_dim, c.rope_theta)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for p in self.parameters():
            if p.ndim == 2:
                nn.init.normal_(p, std=0.02 if p.shape[0] == c.vocab_size else p.shape[1] ** -0.5)
        for block in self.layers:  # residual branches start small
            block.self_attn.o_proj.weight.data.mul_(0.3)
            block.mlp.down_proj.weight.data.mul_(0.3)
            for linear in (block.self_attn.q_proj, block.self_attn.k_proj, block.self_attn.v_proj):
                nn.init.zeros_(linear.bias)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to normalised hidden states (B, T, D)."""
        return self.states(self.embed_tokens(ids))

    def states(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Embeddings (B, T, D) to normalised hidden states (B, T, D). `positions` (B, T): of the tokens, where some were left out; else 0 to T - 1."""
        t = x.shape[1]
        cos, sin = (self.cos[:t], self.sin[:t]) if positions is None else (self.cos[positions][:, None], self.sin[positions][:, None])
        for block in self.layers:
            x = block(x, cos, sin)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden (..., D) to logits (..., vocabulary)."""
        return F.linear(hidden, self.embed_tokens.weight)
