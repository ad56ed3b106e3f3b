"""Networks: streaming equals the whole, casts run, frequencies stay fp32."""

import pytest
import torch

from models.default.dit import DiT, DiTConfig, TextEncoder, default_config, grid_coords
from models.default.optim import Muon
from models.default.state import ConfigMismatch, load_state, save_state
from models.default.vae import VAE, VAEConfig

TINY_VAE = VAEConfig(enc=(8, 8, 8, 8), dec=(8, 8, 8, 8), latent_bound=5.0)
TINY_DIT = default_config("XXS", depth=2, channels=4, classes=(3, 4), vocab=64)


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    """Zero-initialised layers hide errors behind them."""
    torch.manual_seed(0)
    for p in module.parameters():
        torch.nn.init.normal_(p, std=0.05)
    return module.eval()


@torch.no_grad()
def test_decoder_streamed_equals_whole() -> None:
    decoder = randomised(VAE(TINY_VAE)).decoder
    z = torch.randn(2, 5, 48, 3, 4)
    whole = decoder(z)
    caches, frames = decoder.caches(z), []
    for i in range(z.shape[1]):
        y, caches = decoder.step(z[:, i : i + 1], caches)
        frames.append(y)
    streamed = torch.cat(frames, 1)[:, 3:]
    assert whole.shape == (2, 17, 3, 48, 64)
    assert (streamed - whole).abs().max() < 1e-5


@torch.no_grad()
def test_encoder_bounded_never_exceeds_bound() -> None:
    encoder = VAE(TINY_VAE).encoder
    for p in encoder.parameters():
        torch.nn.init.normal_(p, std=2.0)
    z = encoder(torch.rand(1, 5, 3, 32, 32))
    assert encoder.unbounded(torch.rand(1, 5, 3, 32, 32)).abs().max() > 50
    assert z.abs().max() <= TINY_VAE.latent_bound


@torch.no_grad()
def test_encoder_future_frames_do_not_change_past_latents() -> None:
    encoder = randomised(VAE(TINY_VAE)).encoder
    x = torch.rand(1, 9, 3, 32, 32)
    assert torch.equal(encoder(x)[:, :2], encoder(x[:, :5]))


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_transformer_cast_as_a_whole_runs(dtype: torch.dtype) -> None:
    dit, text = (
        randomised(DiT(TINY_DIT)).to(dtype),
        randomised(TextEncoder(TINY_DIT)).to(dtype),
    )
    embedding = text(torch.zeros(2, 32, dtype=torch.int64))
    out = dit(torch.randn(2, 12, 4), torch.tensor([0.2, 0.9]), embedding, grid_coords(3, 2, 2))
    assert out.dtype == dtype and out.isfinite().all()
    assert dit.freq.dtype == dit.tfreq.dtype == torch.float32


@torch.no_grad()
def test_time_embedding_is_smooth_between_sampler_steps() -> None:
    """Between neighbouring steps of a 50-step schedule no time feature turns by more than half a circle."""
    u = torch.linspace(1, 0, 51)
    t = 5 * u / (1 + 4 * u)
    for config, smooth in ((TINY_DIT, True), (DiTConfig(), False)):
        turn = t.diff().abs().max() * config.time_scale
        assert (turn < torch.pi) == smooth


def test_state_of_another_configuration_is_refused_with_the_difference(
    tmp_path,
) -> None:
    save_state(tmp_path / "s.pt", {"config": {"dim": 192, "depth": 12}, "step": 3})
    assert load_state(tmp_path / "s.pt", {"dim": 192, "depth": 12})["step"] == 3
    with pytest.raises(ConfigMismatch, match="depth: 12 there, 16 here"):
        load_state(tmp_path / "s.pt", {"dim": 192, "depth": 16})


def test_state_interrupted_while_writing_keeps_the_old(tmp_path, monkeypatch) -> None:
    save_state(tmp_path / "s.pt", {"config": {}, "step": 1})

    def full_disk(_value, file) -> None:
        file.write(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_state(tmp_path / "s.pt", {"config": {}, "step": 2})
    assert load_state(tmp_path / "s.pt", {})["step"] == 1


@torch.no_grad()
def test_vae_principal_components_reconstruct_what_they_span() -> None:
    """Clips that are combinations of few patterns pass the linear codec nearly unharmed, latents whitened."""
    g = torch.Generator().manual_seed(0)
    patterns = torch.nn.functional.interpolate(torch.randn(6, 3, 4, 4, generator=g), (32, 32))
    mix = torch.randn(40, 5, 6, generator=g)
    clips = (128 + 25 * torch.einsum("ntk,kchw->ntchw", mix, patterns)).clamp(0, 255).to(torch.uint8)
    vae = VAE(VAEConfig(enc=(8, 8, 8, 8), dec=(8, 8, 8, 8)))
    vae.init_pca(clips)
    z = vae.encoder(clips.float() / 255)
    assert (vae.decoder(z) - clips.float() / 255).abs().mean() < 0.03
    assert 0.5 < z[:, :, :4].std() < 1.5


def test_muon_handles_matrices_of_one_shape_together_as_alone() -> None:
    torch.manual_seed(0)
    alone = [torch.randn(24, 16) for _ in range(3)] + [torch.randn(8, 4, 3, 3)]
    together = [p.clone() for p in alone]
    a, b = Muon(alone), Muon(together)
    b.groups = [[0, 1, 2], [3]]
    for _ in range(3):
        for p, q in zip(alone, together, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        together[1].grad = alone[1].grad = None
        a.step(0.02)
        b.step(0.02)
    for p, q in zip(alone, together, strict=True):
        assert torch.allclose(p, q, atol=1e-3) and p.grad is None and q.grad is None
