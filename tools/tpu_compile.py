"""Compiles an experiment for a TPU that is not there, and says whether it fits and how fast it could be.

    python -m tools.tpu_compile --make_environment                                             # once: jax, libtpu
    python -m tools.tpu_compile --config=experiments/vision/lenet5.py:smoke --topology=v5e:2x4

The whole training step, as the loop runs it, data-parallel over every chip of the slice, and the evaluation step are traced
by the project's own code, exported by TensorFlow, and compiled ahead of time by libtpu in a process and an environment of
its own. `--config.KEY=value` overrides a key as for training; each stage of a chain is compiled. `--largest_batch` also
searches the largest global batch that fits, which takes some ten more compilations.

Exit codes: 0 every program compiles and fits; 1 one does not, in one line with the operation and the line of the model to
blame; 2 bad input, or the compiler failed. What was found before such a fault, or of another stage, is printed and written.
"""

import argparse
import contextlib
import json
import math
import pathlib
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from ml_collections import ConfigDict

from dlsuite import config as config_lib
from dlsuite import flags, identity
from dlsuite.checks import check_batch
from dlsuite.errors import ConfigError, DlsuiteError, first_line, nearest
from dlsuite.quiet import import_tensorflow
from dlsuite.runs.console import size_text
from tools.tpu import chips, compiler, environment, largest_batch, report

if TYPE_CHECKING:
  from tools.tpu.export import Exporter, Program

_LIMIT = 2**28  # no global batch above this is tried
_RESERVED = 2**28  # bytes of memory that the runtime keeps for itself: of a v5e's 16 GiB the compiler grants 15.75


class _Parser(argparse.ArgumentParser):
  """Raises what argparse would print with its usage."""

  def error(self, message: str) -> NoReturn:
    raise ConfigError(message)


def main(argv: list[str] | None = None) -> int:
  """Runs one command and returns its exit code."""
  try:
    options, rest = _parse(sys.argv[1:] if argv is None else argv)
    if options.help:
      print(f"{__doc__}\n{options.text}")
      return 0
    if options.make_environment:
      print(f"{environment.make()}: {', '.join(environment.pins())}")
      if not rest:
        return 0
    topology = chips.topology(options.topology)
    asked = flags.parse(["--mode=describe", *rest])
    _check_batches(asked.stages, topology)
    environment.python()
    import_tensorflow()
    _hide_gpus()
    found = run(asked.stages, topology, options)
    if options.json:
      _write(found, options.json)
    return max(stage["code"] for stage in found["stages"])
  except DlsuiteError as e:
    print(f"tpu_compile: {e}", file=sys.stderr)
    return e.exit_code


def _parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
  parser = _Parser(prog="tpu_compile", allow_abbrev=False, add_help=False)
  parser.add_argument("--topology", default="v5e:1x1", help="KIND:SHAPE of the slice, e.g. v5e:2x4")
  parser.add_argument("--json", default="", help="file for the figures, or - for the standard output")
  parser.add_argument("--largest_batch", action="store_true", help="search the largest global batch that fits: some ten "
                      "more compilations")
  parser.add_argument("--tolerance", type=float, default=0.01, help="of that search, a share of the batch; 0: to the chip")
  parser.add_argument("--no_cache", action="store_true", help="compile even what has been compiled before")
  parser.add_argument("--make_environment", action="store_true", help="make the compiler's environment, if it is missing")
  parser.add_argument("--help", "-h", action="store_true", help="print this text")
  options, rest = parser.parse_known_args(argv)
  own = [f"--{name}" for name in vars(options)]
  options.text = parser.format_help()
  for item in rest:
    name = item.partition("=")[0]
    if item.startswith("-") and not name.lstrip("-").startswith(("config", "noconfig")):
      raise ConfigError(f"{name} is not a flag{nearest(name, [*own, '--config'])}; --help shows all")
  if not 0 <= options.tolerance < math.inf:
    raise ConfigError(f"--tolerance={options.tolerance:g} must be 0 or more")
  if options.json not in ("", "-") and not pathlib.Path(options.json).resolve().parent.is_dir():
    raise ConfigError(f"--json={options.json} cannot be written: there is no folder {pathlib.Path(options.json).parent}")
  if options.json != "-" and options.json and pathlib.Path(options.json).is_dir():
    raise ConfigError(f"--json={options.json} is a folder; give a file in it")
  return options, rest


def _check_batches(stages: dict[str, ConfigDict], topology: chips.Topology) -> None:
  """Raises ConfigError unless every stage's batch divides by the slice; before TensorFlow's seconds."""
  for name, config in stages.items():
    check_batch(config, topology.replicas, f"the {topology.replicas} {topology.unit}s of --topology={topology.name}",
                f"stage {name}: " if name else "")


def _hide_gpus() -> None:
  """Keeps TensorFlow, which only traces, from starting on a GPU; once it has started, it is too late and does no harm."""
  import tensorflow as tf

  with contextlib.suppress(RuntimeError):
    tf.config.set_visible_devices([], "GPU")


def run(stages: dict[str, ConfigDict], topology: chips.Topology, options: argparse.Namespace) -> dict[str, Any]:
  """Compiles the programs of every stage, prints their figures, and returns them."""
  found: dict[str, Any] = {
    "topology": topology.name, "chips": topology.chips, "replicas": topology.replicas, "pins": environment.pins(),
    "data_parallel": "one replica's program with explicit cross-replica sums", "stages": [],
    "not_covered": list(report.NOT_COVERED)}
  shown = options.json != "-"
  for name, config in stages.items():
    found["stages"].append(_stage(name, config, topology, options, shown))
  found["ok"] = all(stage["ok"] for stage in found["stages"])
  if shown:
    print("not covered: " + ".\n             ".join(found["not_covered"]))
  return found


def _stage(name: str, config: ConfigDict, topology: chips.Topology, options: argparse.Namespace, shown: bool) -> dict[str, Any]:
  stage: dict[str, Any] = {"stage": name, "config": config.name, "fingerprint": identity.fingerprint(
    config_lib.to_json(config)), "programs": {}, "notes": [], "faults": [], "code": 0}
  try:
    _compile(stage, config, topology, options, shown)
  except DlsuiteError as e:  # no reason to lose what was found before
    stage["faults"].append(str(e))
    stage["code"] = e.exit_code
  stage["ok"] = not stage["faults"]
  stage["code"] = stage["code"] or int(not stage["ok"])
  if shown:
    _print_rest(stage, topology)
  for fault in stage["faults"]:
    print(f"tpu_compile: {f'stage {name}: ' if name else ''}{fault}", file=sys.stderr)
  return stage


def _compile(stage: dict[str, Any], config: ConfigDict, topology: chips.Topology, options: argparse.Namespace, shown: bool
             ) -> None:
  """Compiles a stage's programs, and prints and notes in `stage` what comes of it."""
  from tools.tpu.export import Exporter, RefusedError

  exporter = Exporter(config, topology.replicas)
  stage["precision"], name = exporter.precision, stage["stage"]
  if shown:
    title = f"{config.name}{f', stage {name}' if name else ''}"
    print(f"{title} on {topology.name}: {topology.chips} chip{'s'[:topology.chips - 1]}, {topology.replicas} replica"
          f"{'s'[:topology.replicas - 1]}, {exporter.precision}")
  for kind in ("train", "evaluate"):
    try:
      program = exporter.train() if kind == "train" else exporter.evaluate()
      if program is None:
        continue
      compiled = compiler.compile_for(program.hlo, topology, not options.no_cache)
    except RefusedError as e:
      stage["programs"][kind] = {"compiles": False, "error": str(e)}
      stage["faults"].append(str(e))
      break  # what is wrong with the model would be told once more
    stage["programs"][kind] = report.program_json(compiled, program.batch, program.seconds, topology)
    if not compiled.ok or compiled.peak > topology.hbm:
      stage["faults"].append(_fault(program, compiled, topology))
    if shown:
      print("\n".join(report.program_lines(kind, stage["programs"][kind], topology)))
  stage["notes"] = _notes(exporter)
  if options.largest_batch and _has_a_largest(stage):
    stage["largest_batch"] = _largest(exporter, topology, options, stage["notes"])


def _has_a_largest(stage: dict[str, Any]) -> bool:
  """Returns whether nothing but memory keeps a training step from being compiled."""
  train = stage["programs"].get("train", {})
  return train.get("compiles", False) or train.get("out_of_memory", False)


def _notes(exporter: "Exporter") -> list[str]:
  """Returns what is particular to a config."""
  notes = [exporter.evaluation] if exporter.evaluation else []
  if exporter.acts:
    notes.append("the agent acts on the host between the steps; its network's calls there are not compiled for the TPU")
  if not exporter.length_known:
    notes.append("the data set is not prepared here: shapes are those that it declares, and the schedule's length is made up")
  return notes


def _fault(program: "Program", compiled: compiler.Compiled, topology: chips.Topology) -> str:
  """Returns one line on a program that did not compile: why, which operation, which line of the model."""
  step = f"the {program.kind} step at global batch {program.batch:,}"
  if compiled.out_of_memory or compiled.ok:
    why = f"its peak is {size_text(compiled.peak)}" if compiled.ok else _shortened(_memory_message(compiled.error))
    return f"{step} does not fit {topology.name}: {why}; the largest: {'; '.join(program.largest(compiled.error))}"
  blamed = "; ".join(map(str, program.blamed(compiled.error)))
  return f"{step} does not compile for {topology.name}: {_shortened(compiled.error)}" + f": {blamed}" * bool(blamed)


def _shortened(text: str) -> str:
  return first_line(Exception(text), 300)


def _memory_message(error: str) -> str:
  line = next((line for line in error.splitlines() if "memory" in line.lower()), error)
  return line.partition("HbmOom: ")[2] or line


def _largest(exporter: "Exporter", topology: chips.Topology, options: argparse.Namespace, notes: list[str]) -> dict[str, Any]:
  def need_of(batch: int) -> largest_batch.Need:
    try:
      compiled = compiler.compile_for(exporter.train(batch).hlo, topology, not options.no_cache)
      fault = "" if compiled.ok or compiled.out_of_memory else _shortened(compiled.error)
    except DlsuiteError as e:
      fault = str(e)
    if fault:
      notes.append(f"global batch {batch:,} counts as one that does not fit, though for another reason: {fault}")
      return largest_batch.Need(False)
    if compiled.ok:
      return largest_batch.Need(compiled.peak <= topology.hbm, max(compiled.peak, compiled.memory.get("temp", 0)))
    return largest_batch.Need(False, compiled.asked_and_had[0] if compiled.asked_and_had else 0.0)

  usable = topology.hbm - _RESERVED
  border = largest_batch.search(need_of, exporter.unit, exporter.batch_size, usable, _LIMIT, options.tolerance)
  return {"fits": border.largest, "does_not_fit": border.next or None, "unit": exporter.unit,
          "tried": {str(batch): {"fits": need.fits, "bytes": need.bytes} for batch, need in border.tried.items()}}


def _print_rest(stage: dict[str, Any], topology: chips.Topology) -> None:
  if border := stage.get("largest_batch"):
    beyond = f"{border['does_not_fit']:,} does not" if border["does_not_fit"] else "the search ended there"
    print(f"  largest   global batch of a training step that fits: {border['fits']:,}; {beyond} "
          f"({len(border['tried'])} tried, multiples of {border['unit']})")
  elif _has_a_largest(stage):
    print("  largest   global batch: not searched; --largest_batch does, by some ten more compilations")
  for note in stage["notes"]:
    print(f"  note      {note}")


def _write(found: dict[str, Any], path: str) -> None:
  text = json.dumps(found, indent=2)
  if path == "-":
    print(text)
    return
  try:
    pathlib.Path(path).write_text(text + "\n", encoding="utf-8")
  except OSError as e:
    raise ConfigError(f"--json={path} cannot be written: {e.strerror}") from e


if __name__ == "__main__":
  sys.exit(main())
