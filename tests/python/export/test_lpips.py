"""The LPIPS network: its forward against the lpips package, on random weights, and what it reads."""

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import lpips as package
import numpy as np
import pytest
import torch

from models.export import lpips

SLICES = ("slice1.0", "slice2.3", "slice3.6", "slice4.8", "slice5.10")


def random_tree() -> dict[str, Any]:
    """Arrays as the weights' pickle nests them, kernels [h,w,in,out]."""
    rng = np.random.default_rng(5)
    tree: dict[str, Any] = {"AlexNet_0": {}}
    for i, (out, into, height, width) in enumerate(lpips.TRUNK):
        kernel = rng.standard_normal((height, width, into, out)) / np.sqrt(height * width * into)
        bias = 0.1 * rng.standard_normal(out)
        tree["AlexNet_0"][f"Conv_{i}"] = {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}
        tree[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": rng.random((1, 1, out, 1)).astype(np.float32)}}
    return tree


def reference(tree: dict[str, Any]) -> torch.nn.Module:
    """The package's network with these weights."""
    model = package.LPIPS(net="alex", spatial=True, pretrained=False, pnet_rand=True, verbose=False)
    trunk = {}
    for i, place in enumerate(SLICES):
        layer = tree["AlexNet_0"][f"Conv_{i}"]
        trunk[f"{place}.weight"] = torch.from_numpy(layer["kernel"].transpose(3, 2, 0, 1).copy())
        trunk[f"{place}.bias"] = torch.from_numpy(layer["bias"])
        head = tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"]
        getattr(model, f"lin{i}").model[-1].weight.data = torch.from_numpy(head.transpose(3, 2, 0, 1).copy())
    model.net.load_state_dict(trunk)
    return model.eval()


@pytest.mark.parametrize("size", [(31, 31), (64, 48), (70, 101)])
def test_forward_equals_the_package(size: tuple[int, int]) -> None:
    tree = random_tree()
    generator = torch.Generator().manual_seed(2)
    a, b = (2 * torch.rand(2, 3, *size, generator=generator) - 1 for _ in range(2))
    model = torch.jit.script(lpips.build(tree))
    with torch.no_grad():
        expected = reference(tree)(a, b).mean(dim=(1, 2, 3))
        torch.testing.assert_close(model.distance(a, b), expected, rtol=1e-5, atol=1e-6)
        assert float(model.distance(a, a).max()) == 0


def test_export_names_the_archive_by_its_hash(tmp_path: Path) -> None:
    lpips.export(lpips.build(random_tree()), tmp_path)
    manifest = json.loads((tmp_path / "lpips.json").read_text())
    data = (tmp_path / manifest["file"]).read_bytes()
    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    assert hasattr(torch.jit.load(str(tmp_path / manifest["file"])), "distance")


def test_pickles_of_arrays_are_read() -> None:
    read = lpips.read_arrays(pickle.dumps({"a": {"b": np.arange(3, dtype=np.float32)}}, protocol=3))
    np.testing.assert_array_equal(read["a"]["b"], [0, 1, 2])


@pytest.mark.parametrize("value", [Path("x"), print, np.random.default_rng], ids=str)
def test_pickles_of_anything_else_are_refused(value: Any) -> None:
    with pytest.raises(pickle.UnpicklingError, match="only NumPy arrays are read"):
        lpips.read_arrays(pickle.dumps({"a": value}, protocol=3))


def test_other_shapes_are_refused() -> None:
    tree = random_tree()
    tree["AlexNet_0"]["Conv_2"]["kernel"] = np.zeros((5, 5, 192, 384), dtype=np.float32)
    with pytest.raises(SystemExit, match=r"AlexNet_0/Conv_2/kernel must be float32 \(3, 3, 192, 384\), got .*5, 5"):
        lpips.build(tree)


def test_another_package_is_refused() -> None:
    with pytest.raises(SystemExit, match="expected a286e44c"):
        lpips.weights(b"another archive")
