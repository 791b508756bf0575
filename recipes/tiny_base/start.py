"""Where the training of the tiny base starts: small random weights with the two halves of copying sketched in.

A model this small takes long to find copying by itself once its vocabulary is 4,096 wide: after 200 steps over the
whole vocabulary the loss had not left the plateau of "one of the symbols seen so far". So the first layer begins with
heads that look at the token before, the second with heads that look for the token that followed the current one last
time: a few lines of linear algebra with a fixed seed, which training is free to rub out. Before the first step they
copy 69 % of what can be known in random sequences of 96 tokens (57 to 61 % with theta 500, whose rotation is too fast
to match over a distance: 25 % against 38 % at 512 tokens).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import Qwen3ForCausalLM

CONSTANT = 4
"""Dimensions that are the same in every embedding: without something constant no head can go by position."""
PART = 31
"""Dimensions that a sketched head carries: two heads a token's 62, and 62 more are room for the token before."""


def init_induction_heads(model: Qwen3ForCausalLM, theta: float, sharp: float = 1.7) -> None:
    """Draws both kinds of heads into a fresh model (128 wide, heads of 32), in place; uses torch's global generator."""
    import torch

    with torch.no_grad():
        table = model.model.embed_tokens.weight
        table.normal_(std=0.02)
        table[:, :CONSTANT] = 0.25
        table[:, CONSTANT : CONSTANT + 2 * PART].normal_(std=0.14)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.mul_(0.1)
            layer.mlp.down_proj.weight.mul_(0.1)
        for layer in model.model.layers[:2]:
            layer.self_attn.q_norm.weight.fill_(sharp)
            layer.self_attn.k_norm.weight.fill_(sharp)
        _look_back(model.model.layers[0].self_attn, theta)
        _look_up(model.model.layers[1].self_attn)


def _carried(head: int) -> slice:
    """The embedding dimensions that a sketched head carries."""
    return slice(CONSTANT + PART * (head % 2), CONSTANT + PART * (head % 2 + 1))


def _weights(attention: torch.nn.Module, heads: int) -> list[torch.Tensor]:
    """The four projections, with the first `heads` heads made quieter than the rest to be drawn on."""
    parts: list[torch.Tensor] = [attention.get_submodule(f"{name}_proj").get_parameter("weight") for name in "qkvo"]
    for part in parts[:3]:
        part[: 32 * heads] *= 0.3
    return parts


def _look_back(attention: torch.nn.Module, theta: float) -> None:
    """Two heads that look one token back and write what they see where the embeddings are faint."""
    import torch

    q, k, v, o = _weights(attention, 2)
    for head in range(2):
        first = 32 * head
        for pair in range(4):  # the four fastest of the 16 rotating pairs tell neighbours apart
            angle = torch.tensor(theta ** (-pair / 16))
            q[first + pair, :CONSTANT] += 0.5 * torch.cos(angle)
            q[first + pair + 16, :CONSTANT] -= 0.5 * torch.sin(angle)
            k[first + pair, :CONSTANT] += 0.5
        room = slice(CONSTANT + PART * (2 + head), CONSTANT + PART * (3 + head))
        v[first : first + PART, _carried(head)] += 0.33 * torch.eye(PART)
        o[room, first : first + PART] += 0.33 * torch.eye(PART)


def _look_up(attention: torch.nn.Module) -> None:
    """Four heads that look for a place whose token before equals the current token, and bring what stands there."""
    import torch

    q, k, v, o = _weights(attention, 4)
    here, before = slice(CONSTANT, CONSTANT + 2 * PART), slice(CONSTANT + 2 * PART, CONSTANT + 4 * PART)
    for head in range(4):
        first = 32 * head
        slow = [first + pair + half for pair in range(8, 16) for half in (0, 16)]  # what distance hardly turns
        view = torch.randn(len(slow), 2 * PART) * 0.2
        q[slow, here] += view
        k[slow, before] += view
        v[first : first + PART, _carried(head)] += 0.6 * torch.eye(PART)
        o[_carried(head), first : first + PART] += 0.4 * torch.eye(PART)
