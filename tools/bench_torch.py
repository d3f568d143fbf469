"""The bench's networks in PyTorch, layer for layer as in `dlsuite/models`.

    python -m tools.bench_torch OPTIONS

takes case, task, precision, optimizer, shape, batch, classes and compiled as JSON,
reads numbers of steps from stdin, a line each, makes them, and answers `done`; `tools.bench` starts it.
"""

import json
import sys

import torch
from torch import nn


class _Block(nn.Module):
  """Two 3x3 convolutions and a shortcut without parameters (He et al. 2015, option A)."""

  def __init__(self, inputs: int, outputs: int, stride: int) -> None:
    super().__init__()
    self.a, self.a_bn = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
    self.b, self.b_bn = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
    self.stride, self.more = stride, outputs - inputs

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    y = self.b_bn(self.b(torch.relu(self.a_bn(self.a(x)))))
    if self.more:
      x = nn.functional.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.more))
    return torch.relu(x + y)


def _lenet5() -> nn.Module:
  return nn.Sequential(
    nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    nn.Linear(400, 120), nn.ReLU(), nn.Dropout(0.4), nn.Linear(120, 84), nn.ReLU(), nn.Dropout(0.4), nn.Linear(84, 10))


def _mlp() -> nn.Module:
  layers: list[nn.Module] = [nn.Flatten()]
  for inputs in (784, 1024, 1024):
    layers += [nn.Linear(inputs, 1024), nn.ReLU(), nn.Dropout(0.5)]
  return nn.Sequential(*layers, nn.Linear(1024, 10))


def _resnet20() -> nn.Module:
  layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
  inputs = 16
  for outputs in (16, 32, 64):
    for i in range(3):
      layers.append(_Block(inputs, outputs, 2 if outputs > 16 and not i else 1))
      inputs = outputs
  return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class _Bottleneck(nn.Module):
  """1x1, 3x3 and 1x1 convolutions, the stride in the first (He et al. 2015, figure 5), and a projection where needed."""

  def __init__(self, inputs: int, width: int, stride: int) -> None:
    super().__init__()
    sizes = [(inputs, width, 1, stride), (width, width, 3, 1), (width, 4 * width, 1, 1)]
    parts: list[nn.Module] = []
    for before, after, kernel, step in sizes:
      parts += [nn.Conv2d(before, after, kernel, step, kernel // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    self.branch = nn.Sequential(*parts[:-1])
    self.shortcut = nn.Sequential()
    if stride > 1 or inputs != 4 * width:
      self.shortcut = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return torch.relu(self.shortcut(x) + self.branch(x))


def _resnet50() -> nn.Module:
  layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
  inputs = 64
  for width, count in ((64, 3), (128, 4), (256, 6), (512, 3)):
    for i in range(count):
      layers.append(_Bottleneck(inputs, width, 2 if width > 64 and not i else 1))
      inputs = 4 * width
  return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def _vgg16() -> nn.Module:
  layers: list[nn.Module] = []
  inputs = 3
  for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
    for _ in range(count):
      layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
      inputs = width
    layers.append(nn.MaxPool2d(2))
  layers += [nn.Flatten(), nn.Linear(25_088, 4096), nn.ReLU(), nn.Dropout(0.5)]
  return nn.Sequential(*layers, nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, 1000))


class _DenseLayer(nn.Module):
  """Batch norm, ReLU and convolution twice, 1x1 and 3x3; what it makes stands behind what it saw (Huang et al. 2017)."""

  def __init__(self, inputs: int, growth: int) -> None:
    super().__init__()
    self.branch = nn.Sequential(
      nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 4 * growth, 1, bias=False),
      nn.BatchNorm2d(4 * growth), nn.ReLU(), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False))

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, self.branch(x)], 1)


def _densenet_bc() -> nn.Module:
  """DenseNet-BC of 40 layers with growth rate 12."""
  channels = 24
  layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1, bias=False)]
  for block in range(3):
    for _ in range(6):
      layers.append(_DenseLayer(channels, 12))
      channels += 12
    if block < 2:
      half = channels // 2
      layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, half, 1, bias=False), nn.AvgPool2d(2)]
      channels = half
  return nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                       nn.Linear(channels, 10))


class _UNet(nn.Module):
  """U-Net with padding: two 3x3 convolutions a resolution, dropout at the two coarsest (Ronneberger et al. 2015, figure 1)."""

  def __init__(self, base: int, depth: int, classes: int) -> None:
    super().__init__()
    widths = [base * 2**level for level in range(depth + 1)]

    def double(inputs: int, outputs: int) -> nn.Module:
      return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1),
                           nn.ReLU())

    self.down = nn.ModuleList(double(inputs, outputs) for inputs, outputs in zip([1, *widths], widths, strict=False))
    self.upconv = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, 2) for width in widths[:-1])
    self.up = nn.ModuleList(double(2 * width, width) for width in widths[:-1])
    self.dropout, self.pool, self.output = nn.Dropout(0.5), nn.MaxPool2d(2), nn.Conv2d(base, classes, 1)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    depth, copies = len(self.up), []
    for level, double in enumerate(self.down):
      x = double(self.pool(x) if level else x)
      x = self.dropout(x) if level >= depth - 1 else x
      copies.append(x)
    for level in reversed(range(depth)):
      x = self.up[level](torch.cat([copies[level], self.upconv[level](x)], 1))
    return self.output(x)


def _unet() -> nn.Module:
  return _UNet(32, 4, 2)


_NETWORKS = {"lenet5": _lenet5, "mlp": _mlp, "resnet20": _resnet20, "densenet_bc": _densenet_bc, "resnet50_224": _resnet50,
             "vgg16_224": _vgg16, "unet": _unet}


def build(case: str) -> nn.Module:
  """Returns the network of one of `tools.bench`'s cases."""
  return _NETWORKS[case]()


def main(text: str) -> None:
  """Makes as many steps on one constant batch as each line of stdin says."""
  options = json.loads(text)
  config, (height, width, channels) = options["optimizer"], options["shape"]
  network, rate = build(options["case"]).train(), config["learning_rate"]
  optimizer = (torch.optim.Adam(network.parameters(), rate) if config["name"] == "adam"
               else torch.optim.SGD(network.parameters(), rate, **config["arguments"]))
  model = torch.compile(network) if options["compiled"] else network
  images = torch.randn(options["batch"], channels, height, width)
  pixels = (height, width) if options["task"] == "segmentation" else ()
  labels = torch.randint(0, options["classes"], (options["batch"], *pixels))
  for line in sys.stdin:
    for _ in range(int(line)):
      optimizer.zero_grad()
      with torch.autocast("cpu", torch.bfloat16, enabled=options["precision"] == "bfloat16"):
        logits = model(images)
      nn.functional.cross_entropy(logits.float(), labels).backward()
      optimizer.step()
    print("done", flush=True)


if __name__ == "__main__":
  main(*sys.argv[1:])
