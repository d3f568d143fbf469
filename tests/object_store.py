"""A Google Cloud Storage on this machine, for TensorFlow's real client of `gs://`.

The client knows no other address than Google's. So the store is a proxy that answers itself: it takes `CONNECT
storage.googleapis.com`, shows a certificate of its own making, and speaks the few requests of the JSON API that the client
makes. Objects live in the memory of a process of its own, and outlast every process that writes them. (The client waits for
answers with Python's lock held when it gives up a file: a thread beside it could not answer.)

    python -m tests.object_store CERTIFICATE KEY        # prints its port
"""

import dataclasses
import http.server
import json
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPENSSL = shutil.which("openssl")
_HOSTS = ("storage.googleapis.com", "www.googleapis.com")


class ObjectStore:
  """The store, seen from a test: it has one bucket, `gs://bucket`."""

  def __init__(self, folder):
    self._certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = ",".join(f"DNS:{host}" for host in _HOSTS)
    subprocess.run([OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=store", "-addext",
                    f"subjectAltName={names}", "-keyout", key, "-out", self._certificate], check=True, capture_output=True)
    self._process = subprocess.Popen([sys.executable, "-m", "tests.object_store", self._certificate, key], cwd=ROOT,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    self._address = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
    self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

  def close(self):
    self._process.stdin.close()
    self._process.wait(10)
    self._process.stdout.close()

  def environment(self):
    """Returns what a process needs in its environment so that `gs://` is this store."""
    return {"HTTPS_PROXY": self._address, "https_proxy": self._address, "NO_PROXY": "", "no_proxy": "", "NO_GCE_CHECK": "true",
            "CURL_CA_BUNDLE": str(self._certificate), "GOOGLE_AUTH_TOKEN_FOR_TESTING": "token"}

  def _ask(self, path, data=None, method=None):
    request = urllib.request.Request(self._address + urllib.parse.quote(path), data, method=method)
    with self._opener.open(request, timeout=20) as answer:
      return answer.read()

  def names(self, prefix=""):
    """Returns the names of the objects that begin with a text, `bucket/...`."""
    return json.loads(self._ask(f"/test/names/{prefix}"))

  def read(self, name):
    return self._ask(f"/test/object/{name}")

  def write(self, name, data):
    self._ask(f"/test/object/{name}", data, "PUT")

  def fail(self, pattern, code, times=-1):
    """Makes requests (`METHOD /path`) that agree with a pattern fail.

    Args:
      pattern: a regular expression.
      code: of HTTP, or 0 to hang up when half of the body has come.
      times: how often; -1 for ever.
    """
    self._ask("/test/faults", json.dumps({"pattern": pattern, "code": code, "times": times}).encode(), "PUT")

  def work(self):
    """Ends all faults, and forgets the requests."""
    self._ask("/test/faults", method="DELETE")

  def requests(self):
    """Returns `METHOD /path` of each request since `work`."""
    return json.loads(self._ask("/test/requests"))


@dataclasses.dataclass
class _State:
  objects: dict = dataclasses.field(default_factory=dict)
  generations: dict = dataclasses.field(default_factory=dict)
  sessions: dict = dataclasses.field(default_factory=dict)
  faults: list = dataclasses.field(default_factory=list)
  requests: list = dataclasses.field(default_factory=list)
  buckets: tuple = ("bucket",)

  def put(self, name, data):
    self.generations[name] = self.generations.get(name, 0) + 1
    self.objects[name] = data

  def below(self, prefix):
    return sorted(name for name in list(self.objects) if name.startswith(prefix))

  def fault(self, request):
    for fault in self.faults:
      if fault["times"] and re.search(fault["pattern"], request):
        fault["times"] -= 1
        return fault
    return None


class _Handler(http.server.BaseHTTPRequestHandler):
  protocol_version = "HTTP/1.1"
  store: _State
  tls: ssl.SSLContext

  def log_message(self, *_):
    pass

  def do_CONNECT(self):
    self.send_response(200)
    self.end_headers()
    try:
      self.connection = self.tls.wrap_socket(self.connection, server_side=True)
    except OSError:
      self.close_connection = True
      return
    self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

  def finish(self):
    try:
      super().finish()
      self.connection.close()
    except OSError:
      pass

  def _any(self):
    try:
      self._handle()
    except OSError:  # the client is gone
      self.close_connection = True

  do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - the library looks for these names

  def _handle(self):
    url = urllib.parse.urlsplit(self.path)
    parts = [urllib.parse.unquote(part) for part in url.path.strip("/").split("/")]
    if parts[0] == "test":
      self._answer_test(parts[1], "/".join(parts[2:]), self._body())
      return
    request = f"{self.command} {urllib.parse.unquote(url.path)}"
    self.store.requests.append(request)
    fault = self.store.fault(request)
    if fault is not None and not fault["code"]:
      self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
      self.close_connection = True
      return
    body = self._body()
    if fault is not None:
      self._answer(fault["code"], b'{"error": "injected"}')
      return
    query = dict(urllib.parse.parse_qsl(url.query))
    if parts[0] == "session":
      self._finish_upload(parts[1], body)
    elif parts[0] == "upload":
      self._begin_upload(parts[4], query, body)
    elif parts[:2] == ["storage", "v1"]:
      self._of_bucket(parts[3], parts[5] if len(parts) > 5 else "", query, len(parts) == 4, parts[-1])
    else:
      self._send_object("/".join(parts))

  def _answer_test(self, what, name, body):
    answer = b""
    if what == "names":
      answer = json.dumps(self.store.below(name)).encode()
    elif what == "requests":
      answer = json.dumps(self.store.requests).encode()
    elif what == "object" and self.command == "PUT":
      self.store.put(name, body)
    elif what == "object":
      answer = self.store.objects[name]
    elif self.command == "PUT":
      self.store.faults.append(json.loads(body))
    else:
      self.store.faults.clear()
      self.store.requests.clear()
    self._answer(200, answer)

  def _body(self):
    if "chunked" not in self.headers.get("Transfer-Encoding", ""):  # the client sends both headers; this one counts
      return self.rfile.read(int(self.headers.get("Content-Length") or 0))
    parts = []
    while size := int(self.rfile.readline(), 16):
      parts.append(self.rfile.read(size))
      self.rfile.readline()
    self.rfile.readline()
    return b"".join(parts)

  def _answer(self, code, body=b"", **headers):
    self.send_response(code)
    for name, value in headers.items():
      self.send_header(name.replace("_", "-"), value)
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    self.wfile.write(body)

  def _begin_upload(self, bucket, query, body):
    if bucket not in self.store.buckets:
      self._answer(404)
      return
    name = f"{bucket}/{query['name']}"
    if query["uploadType"] == "media":  # a folder's mark
      self.store.put(name, body)
      self._answer(200, b"{}")
      return
    session = uuid.uuid4().hex
    self.store.sessions[session] = name
    self._answer(200, Location=f"https://www.googleapis.com/session/{session}")

  def _finish_upload(self, session, body):
    asks = (self.headers["Content-Range"] or "").startswith("bytes */")  # that of an empty object has no such header
    if asks and session in self.store.sessions:  # how much has arrived: a part of an object is nothing
      self._answer(308)
      return
    if session in self.store.sessions:
      self.store.put(self.store.sessions.pop(session), body)  # whole, in one instant
    self._answer(200, b"{}")

  def _of_bucket(self, bucket, name, query, of_itself, name_of_copy=""):
    path = f"{bucket}/{name}"
    if bucket not in self.store.buckets:
      self._answer(404)
    elif of_itself:
      self._answer(200, json.dumps({"name": bucket}).encode())
    elif not name:
      self._answer(200, json.dumps(self._listing(bucket, query)).encode())
    elif path not in self.store.objects:
      self._answer(404)
    elif self.command == "POST":
      self.store.put(f"{bucket}/{name_of_copy}", self.store.objects[path])
      self._answer(200, b'{"done": true}')
    elif self.command == "DELETE":
      self.store.objects.pop(path, None)
      self._answer(204)
    else:
      self._answer(200, json.dumps({"size": str(len(self.store.objects[path])), "generation": str(self.store.generations[path]),
                                    "updated": "2026-01-01T00:00:00.000Z"}).encode())

  def _listing(self, bucket, query):
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    items, prefixes = [], set()
    for path in self.store.below(f"{bucket}/{prefix}"):
      name = path.partition("/")[2]
      rest = name[len(prefix):]
      if delimiter and delimiter in rest:
        prefixes.add(prefix + rest.partition(delimiter)[0] + delimiter)
      else:
        items.append({"name": name})
    return {"items": items[:int(query.get("maxResults", 10**6))], "prefixes": sorted(prefixes)}

  def _send_object(self, path):
    data = self.store.objects.get(path)
    if data is None:
      self._answer(404)
      return
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
    part = data[int(asked[1]):int(asked[2]) + 1]
    if part:
      self._answer(206, part)
    else:
      self._answer(416)


def main(certificate, key):
  tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
  tls.load_cert_chain(certificate, key)
  server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": _State(), "tls": tls}))
  server.daemon_threads = True
  print(server.server_port, flush=True)
  threading.Thread(target=server.serve_forever, daemon=True).start()
  sys.stdin.read()  # until whoever started it closes it, or is gone


if __name__ == "__main__":
  main(*sys.argv[1:])
