"""Trains on a Cloud TPU from here to the end, and gives it back.

    python -m launch.tpu_vm --config=experiments/vision/lenet5.py:mnist --topology=v5e-8 --zone=us-west4-a \\
      --bucket=gs://my-bucket --spot

The same command goes on with a job that was stopped, and takes over a TPU that an earlier start left behind. Exit codes are
those of `dlsuite.main`: 0 done, 2 bad input, 3 diverged; 74 the bucket is out of reach, 75 stopped or no capacity (the same
command goes on); 1 for the rest.
"""

import json
import shlex
import sys
from collections.abc import Sequence

from dlsuite import config as config_lib
from dlsuite import identity
from dlsuite.errors import DlsuiteError
from launch import data, deletion, job, signals
from launch.bucket import Bucket
from launch.errors import LaunchError
from launch.gcloud import QueuedResource, check_login, reason
from launch.job import ROOT
from launch.lock import Lock
from launch.plan import Plan, parse
from launch.say import complain
from launch.shell import DryShell, Shell


def _commit(config: str, shell: Shell) -> str:
  """Returns the commit that the machines will run.

  Raises:
    LaunchError: if there is none, or the experiment is not in it as it is here.
  """
  head = shell.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"])
  if head.code:
    raise LaunchError(f"{ROOT} is no git work tree: the machines run a commit; {reason(head)}")
  file = config.partition(":")[0]
  if shell.run(["git", "-C", str(ROOT), "cat-file", "-e", f"{head.out}:{file}"]).code:
    raise LaunchError(f"--config={file} is not in commit {head.out[:12]}, which the machines run: commit it first")
  if shell.run(["git", "-C", str(ROOT), "diff", "--quiet", head.out, "--", file]).code:
    raise LaunchError(f"--config={file} differs from commit {head.out[:12]}, which the machines run: commit the change "
                      "first, or undo it")
  changed = shell.run(["git", "-C", str(ROOT), "status", "--porcelain"]).out.splitlines()
  if changed:
    complain(f"launch: {len(changed)} file(s) differ from commit {head.out[:12]}; the machines run the commit")
  return head.out


def _check_bucket(plan: Plan, bucket: Bucket, folder_of_data: Bucket) -> bool:
  """Returns whether the run is complete already.

  Raises:
    LaunchError: if the workdir holds another run, the data's bucket is missing, or data are not there and shall not be
      prepared.
  """
  for folder, config in plan.folders.items():
    text = bucket.read(f"{folder}/config.json")
    try:
      differing = identity.differing_keys(config_lib.to_json(config), json.loads(text)) if text else []
    except ValueError:
      raise LaunchError(f"--workdir: {bucket.at(folder)}/config.json is damaged: it holds no config; give another --workdir, "
                        "or remove what is there") from None
    if differing:
      raise LaunchError(f"--workdir: {bucket.at(folder)} holds a run of another config: {', '.join(differing[:6])}; give "
                        "another --workdir")
  if bucket.exists(f"{list(plan.folders)[-1]}/result.json"):
    return True
  if folder_of_data.root != bucket.root:  # the job's own has just been written
    folder_of_data.check_root()
  if plan.options.prepare == "never":
    for name in data.names(plan.stages):
      if not folder_of_data.exists(data.marker(name), dry=True):
        raise LaunchError(f"--prepare=never, but data.name={name!r} is not prepared in {plan.options.data_dir}; leave the flag "
                          "out, and the job prepares it once")
  return False


def launch(plan: Plan, shell: Shell) -> None:
  """Carries out a job.

  Raises:
    DlsuiteError: why there is no result.
  """
  options = plan.options
  shell.note(f"{plan.topology.name} in {options.zone} for {options.config}; run {options.bucket}/{plan.workdir}, "
             f"TPU {plan.name}")
  commit = _commit(options.config, Shell())
  shell.explain(f"the commit, which git in {ROOT} has just been asked for (rev-parse, cat-file, diff, status): {commit}")
  check_login(shell)
  bucket = Bucket(shell, options.bucket)
  with signals.raising(), Lock(bucket, f"{plan.workdir}.lock", options.break_lock):
    resource = QueuedResource(shell, plan.name, plan.topology, options.zone, options.runtime_version, options.spot,
                              options.project)
    run = bucket.at(plan.workdir) if options.name else ""  # a TPU whose name is made from the workdir works for no other one
    if _check_bucket(plan, bucket, Bucket(shell, options.data_dir, "--data_dir")):
      shell.note(f"the run is complete: {bucket.at(plan.workdir)}")
      deletion.delete_what_was_left(shell, resource, run, options.poll_seconds)
      return
    order = job.Order(commit, plan.workdir, options.data_dir, options.prepare, data.names(plan.stages), plan.trainer)
    patience = job.Patience(options.poll_seconds, options.retry_seconds, options.retries, options.restarts)
    job.Job(shell, resource, bucket, order, patience, shared=bool(options.name)).run()
  shell.note(f"done; fetch the run with: gcloud storage cp --recursive {shlex.quote(bucket.at(plan.workdir))} .")


def main(argv: Sequence[str] | None = None) -> int:
  """Runs one command and returns its exit code."""
  try:
    plan = parse(sys.argv[1:] if argv is None else argv)
    launch(plan, DryShell() if plan.options.dry_run else Shell())
    return 0
  except signals.Interrupted as e:
    error: DlsuiteError = job.stopped(e.name)
  except DlsuiteError as e:
    error = e
  complain(f"launch: {error}")
  return error.exit_code


if __name__ == "__main__":
  sys.exit(main())
