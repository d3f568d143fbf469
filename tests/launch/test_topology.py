"""Names and sizes of TPUs, from Google's tables, and the environment of each."""

import pytest

from launch import topology
from launch.errors import LaunchError


# Chips, machines and TensorFlow replicas of a TPU: numbers in names count chips (v5e, v6e) or cores, two a chip (the others).
@pytest.mark.parametrize(("name", "accelerator", "chips", "hosts", "replicas"), [
  ("v2-8", "v2-8", 4, 1, 8), ("v3-8", "v3-8", 4, 1, 8), ("v3-32", "v3-32", 16, 4, 32), ("v4-8", "v4-8", 4, 1, 4),
  ("v4-16", "v4-16", 8, 2, 8), ("v4-32", "v4-32", 16, 4, 16), ("v5e-1", "v5litepod-1", 1, 1, 1),
  ("v5e-4", "v5litepod-4", 4, 1, 4), ("v5e-8", "v5litepod-8", 8, 1, 8), ("v5e-16", "v5litepod-16", 16, 4, 16),
  ("v5p-8", "v5p-8", 4, 1, 4), ("v5p-128", "v5p-128", 64, 16, 64), ("v6e-8", "v6e-8", 8, 1, 8), ("v6e-16", "v6e-16", 16, 4, 16),
])
def test_a_name_gives_type_chips_machines_and_replicas(name, accelerator, chips, hosts, replicas):
  found = topology.parse(name)
  assert (found.accelerator_type, found.chips, found.hosts, found.replicas) == (accelerator, chips, hosts, replicas)


@pytest.mark.parametrize(("name", "runtime"), [
  ("v3-8", "tpu-ubuntu2204-base"), ("v4-8", "tpu-ubuntu2204-base"), ("v5e-8", "v2-alpha-tpuv5-lite"),
  ("v5p-8", "v2-alpha-tpuv5"), ("v6e-8", "v2-alpha-tpuv6e"), ("v5e-16", ""),
])
def test_one_machine_has_a_plain_image_and_a_pod_none(name, runtime):
  assert topology.parse(name).runtime_version == runtime


def test_gclouds_own_spelling_is_understood():
  assert topology.parse("v5litepod-8") == topology.parse("V5E-8")


def test_every_known_name_is_taken_and_fills_its_machines():
  for name in topology.known():
    found = topology.parse(name)
    assert found.name == name
    assert found.chips in (1, 2, 4, 8) if found.hosts == 1 else found.chips == 4 * found.hosts


@pytest.mark.parametrize(("name", "expected"), [
  ("v5-8", "did you mean 'v5"), ("tpu", "allowed: v2-{8,32"), ("v4-9", "v4 has no such size (did you mean 'v4-"),
  ("v5e", "allowed numbers of chips: 1, 4, 8"), ("v4", "allowed numbers of cores: 8, 16"),
])
def test_an_unknown_name_is_answered_with_the_known_ones(name, expected):
  with pytest.raises(LaunchError, match="--topology=") as caught:
    topology.parse(name)
  assert expected in str(caught.value)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["v2-8", "v4-8", "v5e-1", "v5e-8", "v5p-8", "v6e-8"])
def test_one_machine_opens_its_own_chips_through_the_plug_in(name):
  assert topology.environment(topology.parse(name), "node", "/site/libtpu.so") == {
    "TPU_NAME": "local", "PJRT_DEVICE": "TPU", "NEXT_PLUGGABLE_DEVICE_USE_C_API": "true",
    "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": "/site/libtpu.so"}


@pytest.mark.parametrize("name", ["v3-32", "v4-16", "v5e-16", "v6e-256"])
def test_a_pod_is_reached_by_its_name_and_leaves_the_machines_own_chips_alone(name):
  assert topology.environment(topology.parse(name), "node", "/site/libtpu.so") == {"TPU_NAME": "node", "TPU_LOAD_LIBRARY": "0"}
