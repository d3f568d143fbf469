"""Stands for `dlsuite.main` where a test is about the launcher: counts steps in a folder, goes on where it was stopped.

    python tests/launch/fake_trainer.py STEPS EXIT_CODE [TIMES] --config=... --workdir=...

Given TIMES, it ends with that code so often, then well.
"""

import json
import pathlib
import signal
import sys
import time


def main():
  last, code = int(sys.argv[1]), int(sys.argv[2])
  workdir = next(pathlib.Path(item.partition("=")[2]) for item in sys.argv if item.startswith("--workdir="))
  checkpoints = workdir / "checkpoints"
  checkpoints.mkdir(parents=True, exist_ok=True)
  stop = []
  signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
  first = max((int(path.stem.partition("_")[2]) for path in checkpoints.glob("state_*.npz")), default=0)
  print(f"starts after step {first}", flush=True)
  for step in range(first + 1, last + 1):
    with open(workdir / "metrics.jsonl", "a") as metrics:
      print(json.dumps({"step": step}), file=metrics)
    (checkpoints / f"state_{step:09d}.npz").write_bytes(b"state")
    (checkpoints / f"state_{step - 2:09d}.npz").unlink(missing_ok=True)
    print(f"step {step}", flush=True)
    if stop:
      print("dlsuite: stopped by SIGTERM", flush=True)
      sys.exit(75)
    time.sleep(0.05)
  ends = workdir / "ends"
  before = len(ends.read_text()) if ends.exists() else 0
  if code and (sys.argv[3].startswith("--") or before < int(sys.argv[3])):
    ends.write_text("." * (before + 1))
    print("dlsuite: this is why", flush=True)
    sys.exit(code)
  (workdir / "result.json").write_text("{}")


if __name__ == "__main__":
  main()
