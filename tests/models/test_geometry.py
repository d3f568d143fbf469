"""Output stride, receptive field and a step at 224 pixels of the networks whose own tests do not have them."""

import functools

import pytest

from dlsuite.models.vision import (
  cifar_densenet,
  cifar_resnet,
  conv3d,
  frame_lstm,
  googlenet,
  grid_detector,
  nin,
  pilotnet,
  unet,
)
from tests.models import geometry
from tests.models.step import finite_step


# Window minus one times the stride so far, layer by layer. A block of the CIFAR ResNets has two 3x3 convolutions, of which the
# first one of a stage has the stride; a layer of DenseNet-BC has one beside its 1x1.
@pytest.mark.parametrize(("network", "shape", "stride", "field"), [
  (functools.partial(googlenet.build, auxiliary=False, width=0.1), (224, 224, 3), 32,
   1 + 6 + 2 * 2 + 2 * 4 + 2 * 4 + 2 * (4 * 8) + 2 * 8 + 5 * (4 * 16) + 2 * 16 + 2 * (4 * 32)),
  (functools.partial(nin.build, width=0.1), (32, 32, 3), 4, 1 + 4 + 2 + 4 * 2 + 2 * 2 + 2 * 4),
  (functools.partial(nin.build, layout="imagenet", width=0.1), (224, 224, 3), 32,
   1 + 10 + 2 * 4 + 4 * 8 + 2 * 8 + 2 * 16 + 2 * 16 + 2 * 32),
  (cifar_resnet.build, (32, 32, 3), 4, 1 + 2 + 6 * 2 + 2 + 5 * 4 + 4 + 5 * 8),
  (functools.partial(cifar_resnet.build, se_ratio=16), (32, 32, 3), 4, 1 + 2 + 6 * 2 + 2 + 5 * 4 + 4 + 5 * 8),
  (functools.partial(cifar_resnet.build, preactivation=True), (32, 32, 3), 4, 1 + 2 + 6 * 2 + 2 + 5 * 4 + 4 + 5 * 8),
  (functools.partial(cifar_densenet.build, depth=22), (32, 32, 3), 4, 1 + 2 + 3 * 2 + 1 + 3 * 4 + 2 + 3 * 8),
  (functools.partial(grid_detector.build, num_classes=3), (64, 64, 3), 16, 1 + 2 + 4 + 8 + 16 + 16 + 2 * 32 + 32),
  (pilotnet.build, (66, 200, 3), 8, 1 + 4 + 4 * 2 + 4 * 4 + 2 * 8 + 2 * 8),
  (frame_lstm.build, (8, 48, 48, 1), 4, 1 + 2 + 1 + 2 * 2 + 2),
  (functools.partial(conv3d.build, units=(8,)), (16, 112, 112, 3), 32,
   1 + 2 + 1 + 2 * 2 + 2 + 2 * (2 * 4) + 4 + 2 * (2 * 8) + 8 + 2 * (2 * 16) + 16),
], ids=["googlenet", "nin", "nin_imagenet", "resnet20", "se_resnet20", "preact_resnet20", "densenet", "detector", "pilotnet",
        "frame_lstm", "conv3d"])
def test_stride_and_receptive_field_are_those_of_the_papers_windows(network, shape: tuple[int, ...], stride: int,
                                                                    field: int) -> None:
  assert list(geometry.fields(network(shape, 10)).values())[-1] == (stride, field)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(("build", "arguments"), [
  (cifar_resnet.build, {}), (cifar_resnet.build, {"se_ratio": 16}),
  (cifar_resnet.build, {"preactivation": True, "bottleneck": True, "depth": 11}), (cifar_densenet.build, {"depth": 22}),
  (nin.build, {}), (unet.build, {"base": 16, "padding": "same"}), (unet.build, {"base": 16, "padding": "valid", "side": 220}),
  (grid_detector.build, {"num_classes": 3}), (pilotnet.build, {}), (frame_lstm.build, {"frames": 4}),
  (conv3d.build, {"frames": 16, "stages": ((8,), (16,), (16, 16), (16, 16), (16, 16))}),
], ids=["resnet20", "se_resnet20", "preact_bottleneck", "densenet", "nin", "unet", "unet_valid", "detector", "pilotnet",
        "frame_lstm", "conv3d"])
def test_a_step_at_224_is_finite(build, arguments: dict[str, object], precision: str) -> None:
  finite_step(build, precision, **({"side": 224} | arguments))  # 224 does not divide where the U-Net shrinks
