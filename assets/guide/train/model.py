"""The guide's network in PyTorch: Qwen3 (grouped-query attention, QK-norm, SwiGLU, tied embeddings).

Everything is token-flat: a batch is `tokens[T]` with `offsets[N + 1]`, the borders of its documents, so that
documents of any length share a batch without padding and without seeing one another. Parameter names are those
of Hugging Face's Qwen3, which makes the export a plain copy.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn

# The argument that asks for a causal mask changed between PyTorch 2.10 and 2.11.
IS_OLD = "is_causal" in inspect.signature(varlen_attn).parameters
CAUSAL = {"is_causal": True} if IS_OLD else {"window_size": (-1, 0)}

LONGEST = 2048
"""Tokens of the longest document that training shows."""


@dataclass(frozen=True)
class Config:
    """Shape of the model. Inner sizes are multiples of 64, the quantisation group."""

    vocab: int
    hidden: int = 256
    layers: int = 8
    heads: int = 6
    kv_heads: int = 2
    head_dim: int = 64
    mlp: int = 704
    rope_theta: float = 100_000.0
    norm_eps: float = 1e-6
    max_positions: int = 4096


def causal_attention(q: Tensor, k: Tensor, v: Tensor, offsets: Tensor) -> Tensor:
    """Causal attention inside each document; q, k, v are `[T, heads, head_dim]`."""
    return varlen_attn(q, k, v, offsets, offsets, LONGEST, LONGEST, **CAUSAL)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of `[T, heads, head_dim]`, the two halves of a head forming the pairs."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Attention(nn.Module):
    """Grouped-query attention with RMS-normalised queries and keys."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.c = c
        self.q_proj = nn.Linear(c.hidden, c.heads * c.head_dim, bias=False)
        self.k_proj = nn.Linear(c.hidden, c.kv_heads * c.head_dim, bias=False)
        self.v_proj = nn.Linear(c.hidden, c.kv_heads * c.head_dim, bias=False)
        self.o_proj = nn.Linear(c.heads * c.head_dim, c.hidden, bias=False)
        self.q_norm = nn.RMSNorm(c.head_dim, eps=c.norm_eps)
        self.k_norm = nn.RMSNorm(c.head_dim, eps=c.norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, offsets: Tensor) -> Tensor:
        c, t = self.c, x.shape[0]
        q = self.q_norm(self.q_proj(x).view(t, c.heads, c.head_dim))
        k = self.k_norm(self.k_proj(x).view(t, c.kv_heads, c.head_dim))
        v = self.v_proj(x).view(t, c.kv_heads, c.head_dim)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        share = c.heads // c.kv_heads
        k, v = k.repeat_interleave(share, dim=1), v.repeat_interleave(share, dim=1)
        y = causal_attention(q.bfloat16(), k.bfloat16(), v.bfloat16(), offsets)
        return self.o_proj(y.reshape(t, -1))


class Mlp(nn.Module):
    """SwiGLU."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden, c.mlp, bias=False)
        self.up_proj = nn.Linear(c.hidden, c.mlp, bias=False)
        self.down_proj = nn.Linear(c.mlp, c.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """One decoder layer."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(c.hidden, eps=c.norm_eps)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = nn.RMSNorm(c.hidden, eps=c.norm_eps)
        self.mlp = Mlp(c)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, offsets: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, offsets)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Embedding, layers and final norm: the part that Hugging Face calls `model`."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab, c.hidden)
        self.layers = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = nn.RMSNorm(c.hidden, eps=c.norm_eps)


class Guide(nn.Module):
    """The whole model; the output matrix is the embedding."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.c = c
        self.model = Decoder(c)
        inverse = c.rope_theta ** (-torch.arange(0, c.head_dim, 2).float() / c.head_dim)
        self.register_buffer("inverse", inverse, persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                small = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, std=0.02 / (2 * c.layers) ** 0.5 if small else 0.02)

    def forward(self, tokens: Tensor, positions: Tensor, offsets: Tensor) -> Tensor:
        """Logits `[T, vocab]` of the token after each position."""
        angles = positions.float()[:, None, None] * self.inverse
        cos, sin = angles.cos(), angles.sin()
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x, cos, sin, offsets)
        return F.linear(self.model.norm(x), self.model.embed_tokens.weight)
