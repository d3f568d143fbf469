"""Adds finished runs to experiments/results.csv, from their own records.

    python -m tools.add_result /tmp/lenet0 /tmp/lenet1 ...

A row needs a result, a commit and a clean work tree at every start of the run; a run that is there already is left alone.
"""

import csv
import json
import pathlib
import sys
from typing import Any

from dlsuite.errors import WorkdirError

TABLE = pathlib.Path(__file__).resolve().parent.parent / "experiments" / "results.csv"
COLUMNS = ("config", "overrides", "seed", "metric", "unit", "value", "published", "difference", "source", "valid", "steps",
           "hours", "hardware", "commit", "fingerprint")


def row_of(workdir: pathlib.Path) -> dict[str, Any]:
  """Returns the row of one run.

  Raises:
    WorkdirError: if the run has not ended, or was started from a changed work tree.
  """
  try:
    result = json.loads((workdir / "result.json").read_text())
    starts = json.loads((workdir / "provenance.json").read_text())
  except FileNotFoundError as e:
    raise WorkdirError(f"{workdir}: {pathlib.Path(e.filename).name} is missing: the run has not ended") from None
  if any(start["dirty"] or not start["commit"] for start in starts):
    raise WorkdirError(f"{workdir}: started from a work tree with changes or without a commit: its code is not known")
  flags = dict(item.lstrip("-").split("=", 1) for item in starts[0]["command"][1:] if "=" in item)
  overrides = sorted(f"{k}={v}" for k, v in flags.items() if k.startswith("config.") and k != "config.seed")
  return {
    "config": flags["config"], "overrides": " ".join(overrides), "seed": result["seed"], "metric": result["metric"],
    "unit": result["unit"], "value": f"{result['value']:.6g}", "published": result["reference"],
    "difference": None if result["difference"] is None else f"{result['difference']:.4g}",
    "source": ", ".join(filter(None, (result["paper"], result["table"]))),
    "valid": f"{result['valid'].get(result['metric'], float('nan')):.6g}", "steps": result["steps"],
    "hours": f"{result['train_seconds'] / 3600:.3f}", "hardware": starts[-1]["hardware"], "commit": starts[0]["commit"][:12],
    "fingerprint": result["fingerprint"],
  }


def main(workdirs: list[str]) -> int:
  """Adds the runs' rows; returns 2 with one line if one of them is no result, and then adds none."""
  if not workdirs:
    print("usage: python -m tools.add_result WORKDIR ...", file=sys.stderr)
    return 2
  try:
    new = [row_of(pathlib.Path(workdir)) for workdir in workdirs]
  except WorkdirError as e:
    print(f"add_result: {e}", file=sys.stderr)
    return e.exit_code
  rows: list[dict[str, Any]] = []
  if TABLE.exists():
    with open(TABLE, newline="", encoding="utf-8") as f:
      rows = list(csv.DictReader(f))
  known = {(row["fingerprint"], str(row["seed"]), row["commit"]) for row in rows}
  rows += [row for row in new if (row["fingerprint"], str(row["seed"]), row["commit"]) not in known]
  rows.sort(key=lambda row: (row["config"], row["overrides"], int(row["seed"])))
  with open(TABLE, "w", newline="", encoding="utf-8") as f:
    writer = csv.DictWriter(f, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
