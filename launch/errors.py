"""Errors of the launchers: each is one line for the user and an exit code."""

from dlsuite.errors import DlsuiteError


class LaunchError(DlsuiteError):
  """The job cannot be started as it was asked for; nothing is left running."""


class OutOfReachError(LaunchError):
  """The bucket or the TPU service did not answer; the same command may succeed later."""

  exit_code = 74


class TakenError(LaunchError):
  """The TPU of that name is another job's."""


class UnavailableError(DlsuiteError):
  """There is no capacity now; the same command may succeed later."""

  exit_code = 75


class FailedError(DlsuiteError):
  """The job was started and failed in a way that trying again does not mend."""

  exit_code = 1
