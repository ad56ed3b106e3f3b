"""The loss that asks a decoder for as much detail as the clip has, not for its mean."""

import torch
import torch.nn.functional as F

from models.default.train_vae import texture_loss


def clips(seed: int) -> torch.Tensor:
    """White noise around a grey that differs between the halves of the picture. [1, 2, 3, 32, 32]"""
    g = torch.Generator().manual_seed(seed)
    grey = torch.cat([torch.full((32, 16), 0.3), torch.full((32, 16), 0.7)], 1)
    return grey + 0.1 * torch.randn(1, 2, 3, 32, 32, generator=g)


def blurred(x: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(x.flatten(0, 1), 3, 1, 1).unflatten(0, x.shape[:2])


def test_equal_clips_cost_nothing() -> None:
    assert texture_loss(clips(0), clips(0)) == 0


def test_other_detail_of_the_same_size_costs_less_than_blur() -> None:
    assert texture_loss(clips(1), clips(0)) < 0.2 * texture_loss(blurred(clips(0)), clips(0))


def test_too_much_detail_costs_as_well() -> None:
    x = clips(0)
    rough = x + (x - blurred(x))
    assert texture_loss(rough, x) > 0.5 * texture_loss(blurred(x), x)


def test_gradient_is_finite_where_both_are_flat() -> None:
    y = torch.full((1, 1, 3, 32, 32), 0.5, requires_grad=True)
    texture_loss(y, torch.full_like(y, 0.5)).backward()
    assert y.grad is not None and y.grad.isfinite().all()
