"""Adds finished runs to experiments/results.csv, and their analyses' numbers to analyses.csv, from their own records.

    python -m tools.add_result /tmp/lenet0 gs://bucket/lenet1 /tmp/chain/finetune ...

A row needs a result, a commit and a clean work tree at every start of the run; a run that is there already is left alone. Its
commit is that of the last start, which tested. analyses.csv has a row for each number of each analysis, with the commit that
made it: `--mode=analyse` may come later than the run. A newer number takes an older one's place; `--analyses` adds these alone,
such as those of baselines, for which a run of one step does.
A stage of a chain is a run of its own, `WORKDIR/STAGE`; its row's `config` ends in `#STAGE`.
"""

import csv
import json
import pathlib
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from dlsuite import catalog
from dlsuite import config as config_lib
from dlsuite.errors import DlsuiteError, WorkdirError, one_of
from dlsuite.runs import files
from dlsuite.runs.files import Path

TABLE = pathlib.Path(__file__).resolve().parent.parent / "experiments" / "results.csv"
COLUMNS = ("config", "overrides", "seed", "metric", "unit", "value", "published", "difference", "source", "valid", "steps",
           "hours", "hardware", "commit", "fingerprint")
ANALYSES = pathlib.Path(TABLE).with_name("analyses.csv")
ANALYSES_COLUMNS = ("config", "overrides", "seed", "analysis", "number", "value", "commit", "fingerprint")


def rows_of(workdir: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
  """Returns the row of one run, and those of its analyses' numbers.

  Raises:
    WorkdirError: if the run has not ended, has no value, was started or analysed from a changed work tree, or is no stage of
      its chain.
    ConfigError: if its experiment cannot be loaded.
  """
  try:
    stages: list[Path] = sorted(workdir.glob("*/result.json"), key=str)
    if stages:
      raise WorkdirError(f"{workdir}: holds a chain: give the folder of one stage, e.g. {stages[-1].parent}")
    result = json.loads((workdir / "result.json").read_text())
    starts = json.loads((workdir / "provenance.json").read_text())
  except FileNotFoundError as e:
    raise WorkdirError(f"{workdir}: {pathlib.Path(e.filename).name} is missing: the run has not ended") from None
  except OSError as e:
    raise WorkdirError(f"{workdir} cannot be read: {e.strerror}") from None
  if any(start["dirty"] or not start["commit"] for start in starts):
    raise WorkdirError(f"{workdir}: started from a work tree with changes or without a commit: its code is not known")
  if result["value"] is None:
    raise WorkdirError(f"{workdir}: has no value: its reference.metric={result['metric']!r} is none of what its test measured: "
                       f"{', '.join(result['test']) or 'nothing'}")
  flags = _flags(starts[0]["command"][1:])
  configs = config_lib.stages_of(catalog.load(flags["config"]))
  stage = _stage(workdir, configs)
  row = {
    "config": flags["config"] + f"#{stage}" * bool(stage), "overrides": " ".join(_overrides(flags, configs, stage)),
    "seed": result["seed"], "metric": result["metric"], "unit": result["unit"], "value": f"{result['value']:.6g}",
    "published": result["reference"],
    "difference": None if result["difference"] is None else f"{result['difference']:.4g}",
    "source": ", ".join(filter(None, (result["paper"], result["table"]))),
    "valid": f"{result['valid'][result['metric']]:.6g}" if result["metric"] in result["valid"] else "",
    "steps": result["steps"],
    "hours": f"{result['train_seconds'] / 3600:.3f}", "hardware": starts[-1]["hardware"], "commit": starts[-1]["commit"][:12],
    "fingerprint": result["fingerprint"],
  }
  return row, _analyses(workdir, result, row)


def _analyses(workdir: Path, result: Mapping[str, Any], row: Mapping[str, Any]) -> list[dict[str, Any]]:
  """Returns the rows of a run's analyses; those from before it was noted which code made them are left out."""
  rows = []
  for name, code in result.get("analysed_by", {}).items():
    if code["dirty"] or not code["commit"]:
      raise WorkdirError(f"{workdir}: its analysis {name} was made by a work tree with changes or without a commit")
    rows += [{column: row[column] for column in ("config", "overrides", "seed", "fingerprint")}
             | {"analysis": name, "number": number, "value": f"{value:.6g}", "commit": code["commit"][:12]}
             for number, value in result["analyses"][name].items()]
  return rows


def _flags(words: list[str]) -> dict[str, str]:
  """Returns {flag: text} of a command's words; the text may be the next word, and is `true` where there is none."""
  found: dict[str, str] = {}
  name = ""
  for word in words:
    if re.match("--?[a-z]", word):
      name, equals, text = word.lstrip("-").partition("=")
      off = name.startswith("noconfig.")
      name = name.removeprefix("no") if off else name
      found[name] = text if equals else "false" if off else "true"
    else:
      found[name] = word
  return found


def _stage(workdir: Path, stages: Collection[str]) -> str:
  """Returns the stage that a folder of a chain holds, by the folder's name; empty if the experiment is no chain."""
  if "" in stages:
    return ""
  name = workdir.resolve().name
  if name not in stages:
    raise WorkdirError(f"{workdir}: its experiment is a chain: {one_of('stage', name, stages)}")
  return name


def _overrides(flags: Mapping[str, str], stages: Mapping[str, ConfigDict], stage: str) -> list[str]:
  """Returns the overrides but the seed's; of a chain those of all stages, of the stage, and of those that it starts from."""
  concern = {stage}
  for name in reversed(list(stages)):  # a stage starts from one before it
    if name in concern:
      concern.add(config_lib.source_stage(stages[name])[0])
  others, seeds = set(stages) - concern, ("config.seed", f"config.{stage}.seed")
  return sorted(f"{name}={text}" for name, text in flags.items()
                if name.startswith("config.") and name not in seeds and name.split(".")[1] not in others)


def _identity(row: Mapping[str, Any]) -> tuple[str, ...]:
  """Returns what tells a run from all others; stages that start from different weights may have one fingerprint."""
  return tuple(str(row[column]) for column in ("config", "overrides", "seed", "commit", "fingerprint"))


def _read(table: pathlib.Path) -> list[dict[str, Any]]:
  if not table.exists():
    return []
  with open(table, newline="", encoding="utf-8") as f:
    return list(csv.DictReader(f))


def _write(table: pathlib.Path, columns: Sequence[str], rows: list[dict[str, Any]]) -> None:
  with open(table, "w", newline="", encoding="utf-8") as f:
    writer = csv.DictWriter(f, columns)
    writer.writeheader()
    writer.writerows(rows)


def main(workdirs: list[str]) -> int:
  """Adds the runs' rows; returns 2 with one line if one of them is no result, and then adds none."""
  only_analyses = workdirs[:1] == ["--analyses"]
  workdirs = workdirs[only_analyses:]
  if not workdirs or any(workdir.startswith("-") for workdir in workdirs):
    print("usage: python -m tools.add_result [--analyses] WORKDIR ...", file=sys.stderr)
    return 2
  try:
    new = [rows_of(files.path(workdir)) for workdir in workdirs]
  except DlsuiteError as e:
    print(f"add_result: {e}", file=sys.stderr)
    return e.exit_code
  if not only_analyses:
    rows = {_identity(row): row for row in [*(row for row, _ in new), *_read(TABLE)]}
    _write(TABLE, COLUMNS, sorted(rows.values(), key=lambda row: (row["config"], row["overrides"], int(row["seed"]))))
  if numbers := [number for _, numbers in new for number in numbers]:
    def key(number: Mapping[str, Any]) -> tuple[Any, ...]:
      return (number["config"], number["overrides"], int(number["seed"]), number["analysis"], number["number"])

    _write(ANALYSES, ANALYSES_COLUMNS, [number for _, number in sorted(
      {key(number): number for number in [*_read(ANALYSES), *numbers]}.items())])
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
