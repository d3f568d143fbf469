"""A gcloud that plays a cloud in a folder: the tests put it on PATH under that name.

$FAKE_CLOUD holds `scenario.json`, what shall happen; `state.json`, the queued resources; `calls.txt`, every call; `bucket/`;
and `vm/<node>/<worker>`, the machines' home folders. A command sent by ssh runs there for real, but for the installation: its
place take links to the work tree and a `python` that is this one, with the scenario's trainer for `dlsuite.main`; the real one
trains on the CPU.

Scenario: account, denied and away (verbs of the bucket), blind (looks at an object that fail), no_bucket, waits (describes
until ACTIVE), quota (refusals of create), quota_again (the same after a TPU was taken away), refuse (create's error), failed
(requests that end as FAILED), preempt (a list of numbers of saved steps after which the TPU is taken away), breaks (the same
for connections that break while the TPU stays), late (it is taken away once its trainer has ended), again (how often gcloud
itself runs a command again whose connection broke), trainer (a command in place of dlsuite.main), install (its exit code),
clone (the code is fetched and cloned for real, before links take its place), slow (seconds that the installation takes), outage
(the first look that fails, and the first that does not), outage_node (the same for looks at the node), unreachable (calls of
create that do not get through), stuck (calls of delete that fail), deaf (connections that say nothing and end), keep (the
machines' folders outlive them), hidden (looks at a TPU that is there do not find it), unheard (copies on condition whose
answer is lost: gcloud asks again by itself, and is refused).
"""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

CLOUD = pathlib.Path(os.environ["FAKE_CLOUD"])
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FLAGS = {  # what each command may be given; the SDK's own table is compared with this
  "auth list": {"filter", "format"},
  "storage ls": set(),
  "storage cat": set(),
  "storage cp": {"if-generation-match", "quiet", "recursive"},
  "storage rm": {"if-generation-match", "quiet", "recursive"},
  "storage objects describe": {"format"},
  "compute tpus queued-resources create": {"node-id", "zone", "project", "accelerator-type", "runtime-version", "spot",
                                           "quiet"},
  "compute tpus queued-resources describe": {"zone", "project", "format"},
  "compute tpus queued-resources delete": {"zone", "project", "force", "quiet"},
  "compute tpus tpu-vm describe": {"zone", "project", "format"},
  "compute tpus tpu-vm ssh": {"zone", "project", "worker", "quiet", "ssh-flag", "command"},
}


def fail(message, code=1):
  print(f"ERROR: {message}", file=sys.stderr)
  sys.exit(code)


@contextlib.contextmanager
def state():
  """The cloud's state, read and written by one call at a time."""
  with open(CLOUD / "state.lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    path = CLOUD / "state.json"
    found = json.loads(path.read_text()) if path.exists() else {"resources": {}, "counts": {}}
    try:
      yield found
    finally:
      part = path.with_suffix(".part")  # the tests read the file without the lock
      part.write_text(json.dumps(found))
      part.replace(path)


def scenario(key, default=None):
  return json.loads((CLOUD / "scenario.json").read_text()).get(key, default)


def count(found, what):
  found["counts"][what] = found["counts"].get(what, 0) + 1
  return found["counts"][what]


# --- storage: an object is a file; its generation is the time of its last change.

def local(url):
  assert url.startswith("gs://"), url
  return CLOUD / "bucket" / url.removeprefix("gs://")


def check(verb, url):
  if scenario("no_bucket"):
    fail(f"(gcloud.storage.{verb}) gs://{url.split('/')[2]} not found: 404.")
  if verb in scenario("away", ()):
    fail(f"(gcloud.storage.{verb}) HTTPError 503: Service Unavailable")
  if verb in scenario("denied", ()):
    fail(f"(gcloud.storage.{verb}) HTTPError 403: you@example.com does not have storage.objects.create access to the object.")


def generation(path):
  return str(path.stat().st_mtime_ns) if path.is_file() else "0"


def storage(verb, names, flags):
  url = next(name for name in names if name.startswith("gs://"))
  check(verb, url)
  if verb == "describe":
    with state() as found:
      if count(found, "looks") <= scenario("blind", 0):
        fail("(gcloud.storage.objects.describe) HTTPError 503: Service Unavailable")
  path = local(url)
  if verb == "rm" or (verb == "cp" and names[1] == url):
    change(verb, path, url, None if verb == "rm" else names[0], flags)
  elif not path.exists():
    fail(f"(gcloud.storage.{verb}) One or more URLs matched no objects." if verb == "ls" else f"{url} not found: 404.")
  elif verb == "cp":
    shutil.copyfile(path, names[1])
  elif verb == "cat":
    print(path.read_text())
  elif verb == "describe":
    print(generation(path))


def change(verb, path, url, source, flags):
  """Writes or removes an object whole: of two who do so at once one comes first, and nobody reads half of it."""
  held = f"(gcloud.storage.{verb}) HTTPError 412: At least one of the pre-conditions you specified did not hold."
  part = path.with_name(f"{path.name}.{os.getpid()}")
  if source:
    path.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(sys.stdin.buffer.read() if source == "-" else pathlib.Path(source).read_bytes())
  with state() as found:
    if flags.get("if-generation-match", [generation(path)])[0] != generation(path):
      part.unlink(missing_ok=True)
      fail(held)
    if not source and not path.exists():
      fail(f"{url} not found: 404.")
    if source:
      part.replace(path)
    else:
      path.unlink()
    unheard = source and "if-generation-match" in flags and count(found, "unheard") <= scenario("unheard", 0)
  if unheard:
    fail(held)


# --- TPUs

def create(name, flags):
  with state() as found:
    if count(found, "asked") <= scenario("unreachable", 0):
      fail("(gcloud.compute.tpus.queued-resources.create) There was a problem: network is unreachable")
    if name in found["resources"]:
      fail(f"(gcloud.compute.tpus.queued-resources.create) ALREADY_EXISTS: {name} already exists")
    if scenario("refuse"):
      fail(f"(gcloud.compute.tpus.queued-resources.create) {scenario('refuse')}")
    again = found["counts"].get("preempt", 0) and count(found, "again") <= scenario("quota_again", 0)
    if again or count(found, "create") <= scenario("quota", 0):
      fail("(gcloud.compute.tpus.queued-resources.create) RESOURCE_EXHAUSTED: Quota limit 'TPUV5sPreemptibleLitepodPerProject"
           "PerZoneForTPUAPI' has been exceeded. Limit: 4 in zone us-west4-a.")
    found["resources"][name] = {"state": "WAITING_FOR_RESOURCES", "looks": 0, "type": flags["accelerator-type"][0],
                                "spot": "spot" in flags}
  (CLOUD / "vm" / name).mkdir(parents=True)


def describe(name, kind):
  with state() as found:
    resource = found["resources"].get(name)
    if resource is None or scenario("hidden"):
      fail(f"(gcloud.compute.tpus.{kind}.describe) NOT_FOUND: Resource '{name}' was not found")
    if kind == "tpu-vm":
      first, last = scenario("outage_node", (0, 0))
      if first <= count(found, "node") < last:
        fail("(gcloud.compute.tpus.tpu-vm.describe) There was a problem: network is unreachable")
      print("READY" if resource["state"] == "ACTIVE" else "PREEMPTED")
      return
    resource["looks"] += 1
    first, last = scenario("outage", (0, 0))
    if first <= resource["looks"] < last:
      fail("(gcloud.compute.tpus.queued-resources.describe) There was a problem: network is unreachable")
    waits = scenario("waits", 0)
    if resource["state"] in ("WAITING_FOR_RESOURCES", "PROVISIONING"):
      waiting = ["WAITING_FOR_RESOURCES"] * (waits - 1) + ["PROVISIONING"] * (waits > 0)
      resource["state"] = waiting[resource["looks"] - 1] if resource["looks"] <= waits else "ACTIVE"
      if resource["state"] == "ACTIVE" and count(found, "active") <= scenario("failed", 0):
        resource["state"] = "FAILED"
    answer = {"name": name, "state": {"state": resource["state"]},
              "tpu": {"nodeSpec": [{"node": {"acceleratorType": resource["type"]}}]}}
    if resource["state"] == "FAILED":
      answer["state"]["failedData"] = {"error": {"code": 8, "message": "There is no more capacity in the zone"}}
    asked = "--format=value(state.state,tpu.nodeSpec[0].node.acceleratorType)"
    print(f"{resource['state']}\t{resource['type']}" if asked in sys.argv else json.dumps(answer))


def kill_machines(name):
  for pid in (CLOUD / "vm" / name).glob("*/dlsuite-job/*/pid"):
    with contextlib.suppress(ProcessLookupError, ValueError):
      os.killpg(int(pid.read_text()), signal.SIGKILL)
  if scenario("keep"):
    os.renames(CLOUD / "vm" / name, CLOUD / "kept" / name)
  shutil.rmtree(CLOUD / "vm" / name, ignore_errors=True)


def delete(name, flags):
  assert "force" in flags
  assert "quiet" in flags
  with state() as found:
    if count(found, "delete") <= scenario("stuck", 0):
      fail("(gcloud.compute.tpus.queued-resources.delete) UNAVAILABLE: The service is currently unavailable.")
    if found["resources"].pop(name, None) is None:
      fail(f"(gcloud.compute.tpus.queued-resources.delete) NOT_FOUND: {name} was not found")
  kill_machines(name)


def install(home, command):
  """Puts in place what the machine would have installed."""
  folder = home / re.search(r"dlsuite-[0-9a-f]{12}", command)[0]
  package = folder / "dlsuite"
  package.mkdir(parents=True)
  for path in (ROOT / "launch", ROOT / "experiments"):
    (folder / path.name).symlink_to(path)
  for path in (ROOT / "dlsuite").iterdir():
    if path.name != "main.py":
      (package / path.name).symlink_to(path)
  bucket = f"{CLOUD}/bucket/"
  trainer = scenario("trainer", [sys.executable, str(ROOT / "dlsuite/main.py")])
  on = [] if scenario("trainer") else ["--config.strategy.kind=cpu"]
  # TensorFlow itself reads and writes gs://, past any gcloud: here the trainer is given the folder that plays the bucket. And
  # the real one would load the plug-in of the TPU, which is not there.
  (package / "main.py").write_text("import os, pathlib, sys\n"
                                   f"pathlib.Path({str(home / 'environment.txt')!r}).write_text(repr(dict(os.environ)))\n"
                                   "os.environ.pop('TF_PLUGGABLE_DEVICE_LIBRARY_PATH', '')\n"
                                   f"words = [word.replace('gs://', {bucket!r}) for word in sys.argv[1:]]\n"
                                   f"os.execv({trainer[0]!r}, {trainer!r} + words + {on!r})\n")
  (folder / "sitecustomize.py").write_text(
    "import os\nfor name in {'TFDS_DATA_DIR'} & os.environ.keys():\n"
    f"  os.environ[name] = os.environ[name].replace('gs://', {bucket!r})\n")
  (folder / ".git").mkdir()
  (folder / "libtpu").mkdir()
  (folder / "libtpu/__init__.py").write_text("")
  python = folder / ".venv/bin/python"
  python.parent.mkdir(parents=True)
  python.write_text(f'#!/bin/sh\nexport PYTHONPATH="{folder}"\nexec {sys.executable} "$@"\n')
  python.chmod(0o755)


def steps_saved():
  found = [int(path.stem.partition("_")[2]) for path in (CLOUD / "bucket").rglob("state_*.npz")]
  return max(found, default=0)


def ssh(name, flags):
  with state() as found:
    if found["resources"].get(name, {}).get("state") != "ACTIVE":
      fail("(gcloud.compute.tpus.tpu-vm.ssh) [/usr/bin/ssh] exited with return code [255].", 255)
  command, worker = flags["command"][0], flags["worker"][0]
  home = CLOUD / "vm" / name / ("0" if worker == "all" else worker)
  home.mkdir(parents=True, exist_ok=True)
  if "install.sh" in command:
    time.sleep(scenario("slow", 0))
    if not list(home.glob("dlsuite-*/.git")) and not scenario("install"):
      if scenario("clone"):
        subprocess.run(["bash", "-c", f'bash() {{ test -e "$1"; }}; {command}'], cwd=home, check=True)
        shutil.rmtree(next(home.glob("dlsuite-*")))
      install(home, command)
    sys.exit(scenario("install", 0))
  with state() as found:
    if count(found, "connection") <= scenario("deaf", 0):
      fail("(gcloud.compute.tpus.tpu-vm.ssh) [/usr/bin/ssh] exited with return code [255].", 255)
  for _ in range(scenario("again", 0) + 1):
    code = connect(name, command, home)
    with state() as found:
      if code != 255 or found["resources"].get(name, {}).get("state") != "ACTIVE":
        break
  if code == 255:
    fail("(gcloud.compute.tpus.tpu-vm.ssh) [/usr/bin/ssh] exited with return code [255].", 255)
  sys.exit(code)


def connect(name, command, home):
  """Runs a command on a machine, and plays what happens meanwhile; returns its exit status, 255 if the connection broke."""
  process = subprocess.Popen(["bash", "-c", command], cwd=home, env=os.environ | {"HOME": str(home)}, start_new_session=True)
  while process.poll() is None:
    time.sleep(0.02)
    if not scenario("late") and is_due("preempt"):
      process.kill()
      process.wait()
      take_away(name)
    elif is_due("breaks"):
      process.kill()
      process.wait()
  if scenario("late") and is_due("preempt"):
    take_away(name)
  return process.returncode if process.returncode >= 0 else 255


def is_due(what):
  """Whether as many steps are saved as the next of such events waits for, which then counts as played."""
  if not (events := scenario(what)):
    return False
  with state() as found:
    played = found["counts"].get(what, 0)
    return played < len(events) and steps_saved() >= events[played] and count(found, what) > 0


def take_away(name):
  with state() as found:
    found["resources"][name]["state"] = "SUSPENDED"
  kill_machines(name)


def main():
  words, flags = [], {}
  for item in sys.argv[1:]:
    name, _, value = item.removeprefix("--").partition("=")
    if item.startswith("--"):
      flags.setdefault(name, []).append(value)
    else:
      words.append(item)
  group = next((group for group in FLAGS if " ".join(words).startswith(group)), None)
  if group is None:
    fail(f"Invalid choice: {' '.join(words)}", 2)
  if set(flags) - FLAGS[group]:
    fail(f"unrecognized arguments: {set(flags) - FLAGS[group]}", 2)
  with open(CLOUD / "calls.txt", "a") as calls:
    print(" ".join(sys.argv[1:]), file=calls)
  names = words[len(group.split()):]
  if group == "auth list":
    print(scenario("account", "you@example.com"))
  elif group.startswith("storage"):
    storage(group.split()[-1], names, flags)
  else:
    {"create": lambda: create(names[0], flags), "describe": lambda: describe(names[0], group.split()[2]),
     "delete": lambda: delete(names[0], flags), "ssh": lambda: ssh(names[0], flags)}[group.split()[-1]]()


if __name__ == "__main__":
  main()
