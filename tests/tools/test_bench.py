"""The bench's PyTorch networks are the same as ours: both have the published counts."""

import pytest

from tools import bench

torch = pytest.importorskip("torch")

# The counts that the tests of our own builders hold, each with its source there.
COUNTS = {"lenet5": 61_706, "mlp": 784 * 1024 + 1024 + 2 * (1024 * 1024 + 1024) + 1024 * 10 + 10, "resnet20": 269_722,
          "densenet_bc": 176_122, "resnet50_224": 25_557_032, "vgg16_224": 138_357_544,
          # Of the paper's 31,030,658 at twice the width: a quarter of its kernels, but half of the first, the last and the
          # biases (3,968 + 960 + 1,920 of convolutions).
          "unet": (31_030_658 - 576 - 128 - 6_848 - 2) // 4 + (576 + 128 + 6_848) // 2 + 2}


@pytest.mark.parametrize("case", bench.CASES)
def test_pytorchs_network_has_our_parameters(case: str) -> None:
  from tools import bench_torch

  with torch.device("meta"):
    network = bench_torch.build(case)
  assert sum(p.numel() for p in network.parameters()) == COUNTS[case]


def test_our_unet_has_pytorchs_parameters() -> None:
  from dlsuite.models.vision import unet

  case = bench.CASES["unet"]
  arguments = {key: value for key, value in case.model.items() if key != "name"}
  assert unet.build(case.shape, case.classes, **arguments).count_params() == COUNTS["unet"]


def test_pytorchs_densenet_gives_logits_of_small_images() -> None:
  from tools import bench_torch

  with torch.device("meta"):
    assert bench_torch.build("densenet_bc")(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert bench_torch.build("resnet50_224")(torch.zeros(2, 3, 224, 224)).shape == (2, 1000)


def test_pytorchs_unet_gives_each_pixel_logits() -> None:
  from tools import bench_torch

  with torch.device("meta"):
    assert bench_torch.build("unet")(torch.zeros(4, 1, 256, 256)).shape == (4, 2, 256, 256)


def test_the_table_has_a_ratio_for_each_pair_of_ways_that_was_timed(capsys: pytest.CaptureFixture) -> None:
  bench._print([("resnet50_224", "float32", {"ours": [8.0, 10.0, 9.0], "compiled": [4.0, 10.0, 6.0]})])
  head, row = capsys.readouterr().out.splitlines()
  assert "compiled/ours time" in head and "torch" not in head
  assert row.split() == ["resnet50_224", "float32", "9.0", "6.0", "1.500", "(1.000-2.000)"]


def test_an_unknown_way_is_refused_with_those_that_exist(capsys: pytest.CaptureFixture, monkeypatch) -> None:
  monkeypatch.setattr("sys.argv", ["bench", "--ways=ours,jax"])
  with pytest.raises(SystemExit, match="2"):
    bench.main()
  assert "--ways=jax: allowed are ours, bare, fit, torch, compiled" in capsys.readouterr().err
