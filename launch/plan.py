"""The command line of a TPU job, checked as far as that goes without a network."""

import argparse
import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import NoReturn

from ml_collections import ConfigDict

from dlsuite import catalog, flags, identity
from dlsuite import config as config_lib
from dlsuite.errors import nearest, one_of
from launch import job, topology
from launch.bucket import check_name
from launch.errors import LaunchError

_FORWARDED = re.compile(r"--?((no)?config\.|init_from=)")
_MOST = 1_000_000  # seconds or tries, as in tpu_vm.sh; the system's own calls that wait fail from 24 days on


class _Parser(argparse.ArgumentParser):
  """A parser whose errors are ours."""

  def error(self, message: str) -> NoReturn:
    """Raises LaunchError."""
    raise LaunchError(message)


def _parser() -> _Parser:
  parser = _Parser(prog="python -m launch.tpu_vm", allow_abbrev=False, epilog="--config.KEY=value, --init_from: the trainer's.",
                   description="Trains on a Cloud TPU from here to the end, and gives it back.")
  patience = job.Patience()
  parser.add_argument("--config", default="", help="experiment, as for dlsuite.main")
  parser.add_argument("--topology", default="", help=f"the TPU, one of {', '.join(topology.known())}")
  parser.add_argument("--zone", default="", help="Google Cloud zone that has such TPUs, e.g. us-west4-a")
  parser.add_argument("--bucket", default="", help="gs://NAME[/FOLDER] for code, data and runs, best in the zone's region")
  parser.add_argument("--workdir", default="", help="folder of the run below the bucket; else made from the config")
  parser.add_argument("--data_dir", default="", help="gs:// folder of the data sets; else BUCKET/data")
  parser.add_argument("--prepare", default="once", help="once: prepare data sets that are not there; never: refuse to start")
  parser.add_argument("--spot", action="store_true", help="take a TPU that may be taken away, at a lower price")
  parser.add_argument("--project", default="", help="Google Cloud project; else gcloud's own setting")
  parser.add_argument("--name", default="", help="of the queued resource; else made from the workdir")
  parser.add_argument("--runtime_version", default="", help="machine image; needed for a pod")
  parser.add_argument("--break_lock", action="store_true", help="take the workdir from a job that is no more")
  parser.add_argument("--dry_run", action="store_true", help="print every command of a job without hitches, run none")
  parser.add_argument("--poll_seconds", type=float, default=patience.poll, help="between looks at the TPU")
  parser.add_argument("--retry_seconds", type=float, default=patience.retry, help="until the second try without quota")
  parser.add_argument("--retries", type=int, default=patience.retries, help="tries without quota or capacity")
  parser.add_argument("--restarts", type=int, default=patience.restarts, help="of a trainer that broke while the TPU is there")
  return parser


@dataclasses.dataclass(frozen=True)
class Plan:
  """A command line, checked.

  Attributes:
    options: the launcher's flags.
    topology: the TPU.
    stages: the experiment's configs by stage.
    trainer: the trainer's flags without the workdir.
    workdir: the run's folder below the bucket.
  """

  options: argparse.Namespace
  topology: topology.Topology
  stages: Mapping[str, ConfigDict]
  trainer: Sequence[str]
  workdir: str

  @property
  def name(self) -> str:
    """The queued resource's name, the same for the same workdir."""
    if self.options.name:
      return str(self.options.name)
    digest = hashlib.sha256(f"{self.options.bucket}/{self.workdir}".encode()).hexdigest()[:6]
    word = re.sub(r"[^a-z0-9]+", "-", self.workdir.rpartition("/")[2].lower()).strip("-")[:40]
    return f"dlsuite-{word}-{digest}"

  @property
  def folders(self) -> dict[str, ConfigDict]:
    """The config of each stage by its folder."""
    return {f"{self.workdir}/{name}" if name else self.workdir: config for name, config in self.stages.items()}


def parse(argv: Sequence[str]) -> Plan:
  """Parses and checks a command line as far as that goes without a network.

  Raises:
    DlsuiteError: one line on what is wrong.
  """
  parser = _parser()
  options, rest = parser.parse_known_args(list(argv))
  known = [f"--{name}" for name in vars(options)]
  for item in rest:
    if not _FORWARDED.match(item):
      raise LaunchError(f"{item} is not a flag{nearest(item.partition('=')[0], known)}; allowed: {', '.join(known)}, "
                        "--config.KEY=value, --init_from")
  for name, example in (("topology", "v5e-8"), ("zone", "us-west4-a"), ("bucket", "gs://my-bucket")):
    if not getattr(options, name):
      raise LaunchError(f"--{name} is missing: give one, e.g. --{name}={example}")
  if options.prepare not in ("once", "never"):
    raise LaunchError(one_of("--prepare", options.prepare, ("once", "never")))
  for name in ("poll_seconds", "retry_seconds", "retries"):
    if not 0 < getattr(options, name) < _MOST:
      raise LaunchError(f"--{name}={getattr(options, name):g} must be more than 0 and less than {_MOST}")
  if not 0 <= options.restarts < _MOST:
    raise LaunchError(f"--restarts={options.restarts} must be 0 or more, and less than {_MOST}")
  found = topology.parse(options.topology)
  options.bucket = check_name(options.bucket)
  options.data_dir = check_name(options.data_dir, "--data_dir") if options.data_dir else f"{options.bucket}/data"
  _check_image(found, options)
  given = [f"--config={options.config}"] * bool(options.config)
  stages = flags.parse([*given, *rest, "--mode=describe"]).stages
  topology.check_stages(found, stages)
  options.config = _in_the_repository(options.config)
  return Plan(options, found, stages, [f"--config={options.config}", *rest], _workdir(options, stages))


def _in_the_repository(config: str) -> str:
  """Returns an experiment by its path in the repository, where the machines look for it; one outside of it as it is."""
  path, colon, argument = config.partition(":")
  file = catalog.find(path).resolve()
  return f"{file.relative_to(job.ROOT).as_posix()}{colon}{argument}" if file.is_relative_to(job.ROOT) else config


def _check_image(found: topology.Topology, options: argparse.Namespace) -> None:
  options.runtime_version = options.runtime_version or found.runtime_version
  if not options.runtime_version:
    raise LaunchError(f"--runtime_version is missing: {found.name} is a pod of {found.hosts} machines and needs an image that "
                      "holds the TensorFlow of launch/requirements-tpu.txt as a server, tpu-vm-tf-X.Y.Z-pod-pjrt; "
                      f"gcloud compute tpus versions list --zone={options.zone} shows them")
  if options.name and not re.fullmatch(r"[a-z]([a-z0-9\-]{0,61}[a-z0-9])?", options.name):
    raise LaunchError(f"--name={options.name!r} must be lower-case letters, digits and hyphens, at most 63, from a letter on")


def _workdir(options: argparse.Namespace, stages: Mapping[str, ConfigDict]) -> str:
  if options.workdir:
    folder = str(options.workdir).removeprefix(f"{options.bucket}/").strip("/")
    if not re.fullmatch(r"[\w.\-]+(/[\w.\-]+)*", folder) or {".", ".."} & set(folder.split("/")):
      raise LaunchError(f"--workdir={options.workdir!r} must be a folder below --bucket, e.g. runs/lenet5")
    return folder
  prints = [identity.fingerprint(config_lib.to_json(config)) for config in stages.values()]
  digest = prints[0] if len(prints) == 1 else hashlib.sha256("".join(prints).encode()).hexdigest()[:12]
  stem = re.sub(r"[^\w\-]", "-", pathlib.Path(options.config.partition(":")[0]).stem)
  return f"runs/{stem}-{digest}"
