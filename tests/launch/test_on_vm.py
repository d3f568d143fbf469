"""What a TPU's machine does when it is asked to stop."""

import os
import signal

import pytest

from launch import on_vm


@pytest.mark.parametrize("run", ["gs://mine/ours", "gs://mine/other"])
def test_only_the_training_of_the_run_that_is_named_is_stopped(tmp_path, monkeypatch, capsys, run):
  monkeypatch.setenv("HOME", str(tmp_path))
  killed = []
  monkeypatch.setattr(os, "kill", lambda *call: killed.append(call))
  job = on_vm.Job("tpu")
  job.renew("gs://mine/ours")
  with job.hold():  # this process looks after it
    assert on_vm.main(["stop", "--name=tpu", f"--run={run}", "--seconds=0"]) == 0
  said = capsys.readouterr().out
  if run == "gs://mine/ours":
    assert killed == [(os.getpid(), signal.SIGTERM)]
  else:
    assert killed == []
    assert said == "launch: this TPU does not train gs://mine/other\n"
