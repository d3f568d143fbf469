"""Workers find each other over loopback, and name who is missing or lost."""

import concurrent.futures
import json
import socket
import threading
import time

import pytest

from dlsuite.cluster import Cluster, Said
from dlsuite.errors import ConfigError, DlsuiteError, WorkerLostError


@pytest.fixture
def addresses():
  """Four addresses nobody listens at."""
  sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
  found = tuple(f"127.0.0.1:{s.getsockname()[1]}" for s in sockets)
  for s in sockets:
    s.close()
  return found


def meet(addresses, delays, seconds=20.0, said=()):
  """Lets workers meet, each in a thread and after its delay; returns what each raised, or when it came and when it had met."""

  def one(index, delay):
    time.sleep(delay)
    began = time.monotonic()
    try:
      Cluster(addresses, index).meet(seconds, *said[index:index + 1])
    except DlsuiteError as e:
      return str(e)
    return began, time.monotonic()

  with concurrent.futures.ThreadPoolExecutor(len(delays)) as pool:
    return list(pool.map(one, *zip(*delays.items(), strict=True)))


def test_all_workers_wait_for_the_last():
  with socket.create_server(("127.0.0.1", 0)) as s, socket.create_server(("127.0.0.1", 0)) as t:
    two = tuple(f"127.0.0.1:{x.getsockname()[1]}" for x in (s, t))
  first, last = meet(two, {0: 0.0, 1: 1.5})
  assert first[0] < last[0] < first[1]


def test_four_workers_meet_in_any_order_and_leave_their_ports_free(addresses):
  met = meet(addresses, {0: 0.5, 1: 0.0, 2: 0.3, 3: 0.1})
  assert all(isinstance(times, tuple) for times in met), met
  for address in addresses:
    socket.create_server(("", int(address.rpartition(":")[2]))).close()


def test_the_worker_that_does_not_come_is_named_by_all_others_within_the_time(addresses):
  began = time.monotonic()
  says = meet(addresses[:3], {0: 0.0, 1: 0.0}, seconds=1.0)
  assert time.monotonic() - began < 10
  for index, line in enumerate(says):
    assert f"worker 2 ({addresses[2]}) did not answer worker {index} ({addresses[index]}) within 1 s" in line
    assert "refused" in line


def hanging(monkeypatch):
  """Machines whose names hang in DNS; returns what ends the look-ups."""
  end = threading.Event()

  def look_up(*_):
    end.wait(8.0)
    raise socket.gaierror("no such name")

  monkeypatch.setattr(socket, "getaddrinfo", look_up)
  return end


def swallowing(monkeypatch):
  """Machines that swallow what is sent to them: each call takes all the time that it is given."""
  monkeypatch.setattr(Cluster, "_call", lambda self, peer, said, seconds: time.sleep(seconds) or "timed out")
  return threading.Event()


@pytest.mark.parametrize(("silent", "why"), [(hanging, "its name was still being looked up"), (swallowing, "timed out")])
def test_however_many_peers_are_silent_the_wait_is_no_longer(silent, why, addresses, monkeypatch):
  end = silent(monkeypatch)
  many = (addresses[0], *(f"silent{i}.invalid:2222" for i in range(1, 11)))
  began = time.monotonic()
  with pytest.raises(WorkerLostError, match=rf"worker 1 \(silent1\.invalid:2222\) did not answer .* within 1 s: {why}"):
    Cluster(many, 0).meet(1.0)
  assert time.monotonic() - began < 2.5
  end.set()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_workers_meet_by_their_ipv6_addresses(addresses):
  two = tuple(f"[::1]:{address.rpartition(':')[2]}" for address in addresses[:2])
  assert all(isinstance(times, tuple) for times in meet(two, {0: 0.2, 1: 0.0}))


def test_a_host_without_an_address_is_named():
  with pytest.raises(WorkerLostError, match=r"worker 1 \(no-such-host\.invalid:2222\) did not answer .*: .*[Nn]ame"):
    with socket.create_server(("127.0.0.1", 0)) as s:
      own = s.getsockname()[1]
    Cluster((f"127.0.0.1:{own}", "no-such-host.invalid:2222"), 0).meet(0.5)


def test_a_worker_of_another_cluster_is_not_taken_for_the_peer(addresses):
  mine, other = addresses[:2], (addresses[2], addresses[1])
  with Cluster(other, 1)._listening() as heard, pytest.raises(WorkerLostError, match="something else answers there"):
    Cluster(mine, 0).meet(0.5)
  assert not heard


def test_a_worker_that_was_started_otherwise_is_named_by_all_with_what_differs(addresses):
  usual, other = Said({"seed": "0", "strategy.devices": "1 x cpu"}), Said({"seed": "7", "strategy.devices": "1 x cpu"})
  lines = meet(addresses[:3], {0: 0.0, 1: 0.1, 2: 0.0}, said=[usual, usual, other])
  name = [f"worker {i} ({address})" for i, address in enumerate(addresses)]
  assert [line.partition(";")[0] for line in lines] == [
    f"{name[2]} was started otherwise than {name[0]}: seed (7 there, 0 here)",
    f"{name[2]} was started otherwise than {name[1]}: seed (7 there, 0 here)",
    f"{name[0]} was started otherwise than {name[2]}: seed (0 there, 7 here)"]


def test_workers_of_one_machine_do_not_take_the_same_gpu_however_their_addresses_are_spelt(addresses):
  two = (addresses[0], addresses[1].replace("127.0.0.1", "localhost"))
  for line in meet(two, {0: 0.0, 1: 0.0}, said=[Said({}, "here", ("0", "1")), Said({}, "here", ("1", "2"))]):
    assert "is on the machine of worker" in line
    assert "both would take the GPU 1: give each worker its own by CUDA_VISIBLE_DEVICES" in line


@pytest.mark.parametrize("said", [
  [Said({}, "here", ("0",)), Said({}, "here", ("1",))], [Said({}, "here", ("0",)), Said({}, "there", ("0",))]])
def test_workers_with_gpus_of_their_own_meet(said, addresses):
  assert all(isinstance(times, tuple) for times in meet(addresses[:2], {0: 0.0, 1: 0.0}, said=said))


def test_a_port_that_is_taken_is_said_at_once(addresses):
  with (socket.create_server(("", int(addresses[0].rpartition(":")[2]))),
        pytest.raises(WorkerLostError, match=r"port \d+ of worker 0 .* is taken on this machine")):
    Cluster(addresses[:2], 0).meet(30.0)


@pytest.mark.parametrize(("text", "says"), [
  ("", "needs TF_CONFIG as JSON"), ("{", "needs TF_CONFIG as JSON"), ("[]", "needs TF_CONFIG as JSON"),
  ("[" * 100_000, "needs TF_CONFIG as JSON"), ({"cluster": {"worker": ["a:1"]}, "task": [0]}, "needs TF_CONFIG as JSON"),
  ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": 1.9}}, "task.index='1.9' must be a whole number"),
  ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": True}}, "task.index='True' must be a whole number"),
  ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": float("inf")}}, "task.index='inf' must be a whole number"),
  ({"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}, "task.type='ps' must be 'worker', or be left out"),
  ({"cluster": {"worker": ["a:1"]}}, "task.index"), ({"cluster": {"worker": 3}, "task": {"index": 0}}, "needs TF_CONFIG"),
  ({"cluster": {"worker": ["a:1"]}, "task": {"index": 1}}, "task.index=1 but cluster.worker lists 1"),
  ({"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"index": 0}}, "lists ps; list every process under 'worker'"),
  ({"cluster": {"worker": ["a:1", "b"]}, "task": {"index": 0}}, "cluster.worker[1]='b' is no host:port"),
  ({"cluster": {"worker": ["a:99999"]}, "task": {"index": 0}}, "'a:99999' is no host:port"),
  ({"cluster": {"worker": ["a:1", "b..c:5"]}, "task": {"index": 0}}, "cluster.worker[1]='b..c:5' is no host:port"),
  ({"cluster": {"worker": [f"{'a' * 64}:1"]}, "task": {"index": 0}}, "is no host:port"),
  ({"cluster": {"worker": ["a:1", "a:1"]}, "task": {"index": 0}}, "lists a:1 twice"),
])
def test_a_malformed_cluster_is_one_line(text, says, monkeypatch):
  monkeypatch.setenv("TF_CONFIG", text if isinstance(text, str) else json.dumps(text))
  with pytest.raises(ConfigError) as caught:
    Cluster.from_environment()
  assert says in str(caught.value)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("task", ['"type": "worker", "index": 1', '"index": "1"'])
def test_a_cluster_is_read_from_tf_config(task, monkeypatch):
  monkeypatch.setenv("TF_CONFIG", f'{{"cluster": {{"worker": ["a:1", "[::1]:2"]}}, "task": {{{task}}}}}')
  assert Cluster.from_environment() == Cluster(("a:1", "[::1]:2"), 1)


# The messages are TensorFlow 2.21's own.
def test_workers_that_sent_no_heartbeat_are_the_lost_ones(addresses):
  message = ("Collective ops is aborted by: Error reported from /job:worker/task:0: The following tasks are unhealthy (stopped "
             "sending heartbeats):\n/job:worker/replica:0/task:1\n/job:worker/replica:0/task:3\nThe tasks have crashed.")
  assert Cluster(addresses, 0).lost(message) == [1, 3]
  passed_on = message + ("\nThe tasks have crashed.\nAdditional GRPC error information from remote target "
                         "/job:worker/replica:0/task:0 while calling /tensorflow.WorkerService/RecvBuf:")
  assert Cluster(addresses, 2).lost(passed_on) == [1, 3]


def test_a_chief_that_answers_no_heartbeat_is_the_lost_one(addresses):
  message = "Collective ops is aborted by: Deadline Exceeded\n\nRPC: /tensorflow.CoordinationService/Heartbeat"
  assert Cluster(addresses, 2).lost(message) == [0]


def test_else_those_whose_ports_are_closed_are_the_lost_ones(addresses):
  message = "Collective ops is aborted by: Socket closed\nAdditional GRPC error information from remote target ..."
  alive = [socket.create_server(("127.0.0.1", int(addresses[i].rpartition(":")[2]))) for i in (0, 2)]
  assert Cluster(addresses, 0).lost(message) == [1, 3]
  for server in alive:
    server.close()
