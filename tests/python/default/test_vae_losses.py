"""The losses of the autoencoder: the sprite's squared error; as much detail as the clip has, not its mean; no seams
between latent positions."""

import torch
import torch.nn.functional as F

from models.default.train_vae import seam_loss, sprite_error, texture_loss


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


def test_seams_are_steps_of_the_error_between_latent_positions() -> None:
    x = clips(0)
    assert seam_loss(x + 0.25, x) < 1e-6  # the same everywhere
    step = torch.zeros(32)
    step[16:] = 0.25  # rises from one position to the next
    assert torch.isclose(seam_loss(x + step, x), torch.tensor(0.25), atol=1e-5)
    assert torch.isclose(seam_loss(x + step[:, None], x), torch.tensor(0.25), atol=1e-5)
    assert seam_loss(x + step.roll(-8), x) < 1e-6  # inside a position


def test_sprite_error_is_its_root_mean_square_and_sees_nothing_else() -> None:
    x, cover = torch.zeros(1, 2, 3, 32, 32), torch.zeros(1, 2, 1, 32, 32)
    cover[..., :16, :16] = 1
    assert torch.isclose(sprite_error(x + 0.1 * cover, x, cover), torch.tensor(0.1), atol=1e-3)
    assert sprite_error(x + (1 - cover), x, cover) < 2e-3  # beside it
    even, few = x + 0.1 * cover, x.clone()
    few[..., :16, :4] = 0.4  # the same mean, on a quarter of the sprite
    assert sprite_error(few, x, cover) > 1.9 * sprite_error(even, x, cover)


def test_sprite_error_of_a_clip_without_a_sprite_is_nothing() -> None:
    y = torch.full((1, 1, 3, 32, 32), 0.5, requires_grad=True)
    loss = sprite_error(y, torch.zeros_like(y), torch.zeros(1, 1, 1, 32, 32))
    loss.backward()
    assert loss == 0 and y.grad is not None and y.grad.isfinite().all()
