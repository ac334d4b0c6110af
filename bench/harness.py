"""A platform to be measured, and what looks at its process."""

import dataclasses
import http.client
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 32


@dataclasses.dataclass
class Person:
    """Somebody who has registered."""

    email: str
    token: str

    def credentials(self, password):
        return {"email": self.email, "password": password}


class Platform:
    """`slipway up` on a directory of its own."""

    def __init__(self, program, directory):
        self.program = program
        self.data = directory / "data"
        self.log = directory / "platform.log"
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.process = None
        self.token = None
        self.account = None
        self.address = None
        # One connection per thread.
        self.connections = threading.local()
        self.environment = dict(os.environ, SLIPWAY_URL=self.url, SLIPWAY_DATA_DIR=str(self.data))

    def start(self):
        """Seconds from the start of the process to its line that says it is ready."""
        began = time.monotonic()
        command = [self.program, "up", "--port", str(self.port), "--data-dir", self.data]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment
            )
        line = self.process.stdout.readline()
        took = time.monotonic() - began
        if "ready" not in line:
            sys.exit(f"the platform didn't start:\n{self.log.read_text()}")
        return took

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def settled_memory(self):
        """Resident memory in MiB, once it changes no more."""
        return settled(lambda: memory_mib(self.process.pid))

    def sign_in(self):
        body = json.loads((self.data / "admin-credentials.json").read_text())
        self.token = self.call("POST", "/auth/admin/emailpass", body)["token"]

    def deploy(self, site, number):
        """Seconds from the push to the line with the address."""
        (site / "index.html").write_text(f"hello {number} {self.port}\n" * 20)
        began = time.monotonic()
        said = self.run("deploy", str(site), "--name", "site")
        self.address = next(word for word in reversed(said.split()) if word.startswith("http://"))
        return time.monotonic() - began

    def run(self, *words):
        done = subprocess.run([self.program, *words], env=self.environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"slipway {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method)
        if self.token:
            request.add_header("authorization", f"Bearer {self.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")

    def register(self, email, password):
        body = {"email": email, "password": password}
        return Person(email, self.call("POST", "/auth/euser/emailpass/register", body)["token"])

    def ask(self, method, path, body, token=None, headers=None):
        """Status and headers of an answer, by a connection that is kept."""
        if not hasattr(self.connections, "one"):
            self.connections.one = http.client.HTTPConnection("localhost", self.port, timeout=60)
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        self.connections.one.request(method, path, body, headers)
        answer = self.connections.one.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}

    def delete_all(self):
        self.sign_in()
        for account in self.call("GET", "/v1/accounts")["accounts"]:
            base = f"/v1/account/{account['id']}/projects"
            for project in self.call("GET", base)["projects"]:
                self.call("DELETE", f"{base}/{project['id']}")
        # Apps outlive the platform: what isn't ended before it stops, nobody ends.
        mark = f" {self.port}\n".encode()
        deadline = time.monotonic() + 30
        while any(mark in (fetch(port) or b"") for port in static_ports()):
            if time.monotonic() > deadline:
                sys.exit("the apps of a deleted project still run")
            time.sleep(0.1)

    def publish(self, name):
        """Publishes the site as a service, and gives an API key that may read it."""
        self.sign_in()
        self.account = self.call("GET", "/v1/accounts")["accounts"][0]["id"]
        base = f"/v1/account/{self.account}/projects"
        project = self.call("GET", base)["projects"][0]
        environment = project["environments"][0]["id"]
        publication = {"name": name, "visibility": "account", "scopes": ["read"]}
        self.call("PUT", f"{base}/{project['id']}/environments/{environment}/publication", publication)
        self.become_member()
        return self.generate("bench", name)

    def generate(self, name, service):
        """An API key that may read a service."""
        return self.call("POST", "/v1/generate", {"name": name, "scopes": [f"service:{service}:read"]})["token"]

    def name_service(self, name, upstream, key=True):
        """Names an upstream, as an admin, and gives a key for it once calls of it are answered."""
        body = {"name": name, "upstream": upstream, "scopes": ["read"]}
        user = self.token
        self.sign_in()
        self.call("POST", "/v1/services", body)
        self.token = user
        return self.generate(name, name) if key else None

    def label(self):
        """What the site's host begins with."""
        return self.address.split("//")[1].split(".")[0]

    def become_member(self):
        """Goes on as a new user who is a member of the account."""
        invite = self.call("POST", f"/v1/accounts/{self.account}/invite", {})["token"]
        person = {"email": f"bench-{time.time_ns()}@example.com", "password": os.urandom(16).hex()}
        self.token = None
        self.token = self.call("POST", "/auth/euser/emailpass/register", person)["token"]
        self.call("POST", "/v1/users", {"email": person["email"]})
        self.call("POST", "/v1/invite/accept", {"token": invite})
        self.token = self.call("POST", "/auth/token/refresh")["token"]


def settled(measure):
    """What a figure comes to when it changes no more."""
    last, same = None, 0
    while same < 5:
        time.sleep(0.2)
        now = measure()
        same = same + 1 if last is not None and abs(now - last) < 0.1 else 0
        last = now
    return last


def load(port, path, key, pids, seconds, headers=()):
    """Runs wrk and gives the CPU time that the processes took per request."""
    headers = [word for header in headers for word in ("-H", header)]
    headers += ["-H", f"Authorization: Bearer {key}"] if key else []
    return run_wrk(f"http://127.0.0.1:{port}{path}", ["-c", str(CONNECTIONS), *headers], pids, seconds)


def wrk(platform, path, seconds, connections, script):
    """Runs wrk with a script against a platform."""
    options = ["-c", str(connections), "-s", str(script)]
    return run_wrk(platform.url + path, options, [platform.process.pid], seconds)


def run_wrk(url, options, pids, seconds):
    before = sum(map(cpu_seconds, pids))
    command = ["wrk", "-t", "1", "-d", f"{seconds}s", *options, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    used = sum(map(cpu_seconds, pids)) - before
    requests, failed, rate = 0, 0, 0.0
    for line in done.stdout.splitlines():
        words = line.split()
        if "requests in" in line:
            requests = int(words[0])
        elif "Non-2xx" in line:
            failed += int(words[-1])
        elif "Socket errors" in line:
            failed += sum(int(word.strip(",")) for word in words if word.strip(",").isdigit())
        elif line.startswith("Requests/sec"):
            rate = float(words[-1])
    if not requests:
        sys.exit(f"wrk counted nothing:\n{done.stdout}{done.stderr}")
    return {"cpu_us": used / requests * 1e6, "requests_per_second": rate, "requests": requests, "failed": failed}


def wait_until_ok(port, path, key):
    deadline = time.monotonic() + 20
    while True:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
        if key:
            request.add_header("authorization", f"Bearer {key}")
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"port {port} doesn't answer {path}: {error}")
            time.sleep(0.05)


def upstream_port(platform, page):
    """The port of the app's process that serves this page: older releases may still be draining."""
    for port in static_ports():
        if fetch(port) == page:
            return port
    sys.exit(f"the app isn't running:\n{platform.log.read_text()[-2000:]}")


def static_ports():
    """The ports of all static sites on this machine."""
    commands = [command for command in children_with("__static") if "--port" in command]
    return [int(command[command.index("--port") + 1]) for command in commands]


def fetch(port):
    """The page of a port; none where something else answers there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/index.html", timeout=5) as answer:
            return answer.read()
    except OSError:
        return None


def children_with(*words):
    """The command lines of processes that have these words."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if all(word in command for word in words):
            found.append(command)
    return found


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def median_ms(seconds):
    return round(statistics.median(seconds) * 1000)
