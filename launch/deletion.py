"""Deleting a TPU, which costs money as long as it is there: no failure of that may go unsaid."""

from launch.errors import LaunchError
from launch.gcloud import QueuedResource, is_absent, reason
from launch.shell import Shell


def delete(shell: Shell, resource: QueuedResource, seconds: float) -> bool:
  """Deletes a TPU, with three tries, so many seconds apart; returns whether it is no more."""
  shell.note(f"gives {resource.name} back")
  for attempt in range(3):
    answer = resource.delete()
    if answer.code == 0 or is_absent(answer):
      return True
    shell.note(f"{resource.name} cannot be deleted: {reason(answer)}")
    if attempt < 2:
      shell.sleep(seconds)
  return False


def delete_or_say(shell: Shell, resource: QueuedResource, seconds: float) -> None:
  """Deletes a TPU, or says loudly that it is still there and how to delete it by hand."""
  if not delete(shell, resource, seconds):
    shell.note(f"ATTENTION: {resource.name} MAY STILL COST MONEY; {resource.by_hand}")


def delete_what_was_left(shell: Shell, resource: QueuedResource, run: str, seconds: float) -> None:
  """Gives back a TPU that an earlier start of a run has left behind, if there is one.

  Args:
    shell: what runs the commands.
    resource: the TPU.
    run: the address of the run, where a TPU of that name may be another job's: it must be the last that was started there.
    seconds: between two tries to delete it.
  """
  try:
    if not resource.state()[0]:
      return
    said: list[str] = []
    if run:
      resource.ssh(f'echo "$(cat dlsuite-job/{resource.name}/run)"', said.append, lambda: True, seconds)
    if run and run not in said:
      shell.note(f"ATTENTION: {resource.name} is there and costs money; it is left as it is, since it is not known to be this "
                 f"run's; if nobody uses it, {resource.by_hand}")
    else:
      delete_or_say(shell, resource, seconds)
  except LaunchError as e:
    shell.note(f"whether an earlier start has left {resource.name} behind cannot be seen: {e}")
