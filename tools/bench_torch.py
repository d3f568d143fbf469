"""The bench's three networks in PyTorch, layer for layer as in `dlsuite/models`.

    python -m tools.bench_torch CASE PRECISION OPTIMIZER

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


def build(case: str) -> nn.Module:
  """Returns `lenet5`, `mlp` or `resnet20`."""
  return {"lenet5": _lenet5, "mlp": _mlp, "resnet20": _resnet20}[case]()


def main(case: str, precision: str, options: str) -> None:
  """Makes as many steps on one constant batch of 128 as each line of stdin says."""
  optimizer_config = json.loads(options)
  model, rate = build(case).train(), optimizer_config["learning_rate"]
  optimizer = (torch.optim.Adam(model.parameters(), rate) if optimizer_config["name"] == "adam"
               else torch.optim.SGD(model.parameters(), rate, **optimizer_config["arguments"]))
  images = torch.randn(128, *((3, 32, 32) if case == "resnet20" else (1, 28, 28)))
  labels = torch.randint(0, 10, (128,))
  for line in sys.stdin:
    for _ in range(int(line)):
      optimizer.zero_grad()
      with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        logits = model(images)
      nn.functional.cross_entropy(logits.float(), labels).backward()
      optimizer.step()
    print("done", flush=True)


if __name__ == "__main__":
  main(*sys.argv[1:])
