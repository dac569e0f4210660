"""Muon: momentum whose matrix updates are orthogonalised (Jordan et al., 2024), batched over equal shapes."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor


def orthogonalise(g: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz iteration towards the nearest semi-orthogonal matrix, for a stack `[n, rows, columns]`."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return (x.mT if tall else x).to(g.dtype)


class Muon:
    """Optimiser for the 2-D weights of the layers; step size scaled so that AdamW's learning rates fit."""

    def __init__(self, params: list[Tensor], momentum: float = 0.95, decay: float = 0.1) -> None:
        groups: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for p in params:
            groups[p.shape].append(p)
        self.groups = [(ps, torch.zeros(len(ps), *shape, device=ps[0].device)) for shape, ps in groups.items()]
        self.momentum, self.decay = momentum, decay

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One update with Nesterov momentum and decoupled weight decay."""
        for params, buffer in self.groups:
            g = torch.stack([p.grad for p in params])
            buffer.lerp_(g, 1 - self.momentum)
            update = orthogonalise(g.lerp(buffer, self.momentum))
            scale = 0.2 * max(params[0].shape) ** 0.5
            torch._foreach_mul_(params, 1 - lr * self.decay)
            torch._foreach_add_(params, list(update.unbind()), alpha=-lr * scale)
