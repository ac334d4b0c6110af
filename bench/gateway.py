"""The gateway's work per request beside nginx as a plain proxy and HAProxy with the same checks, in one run."""

import base64
import json
import os
import pathlib
import signal
import statistics
import subprocess
import urllib.request

from harness import CONNECTIONS, free_port, load, upstream_port, wait_until_ok


def compare_with_peers(arguments, directory, platform):
    """CPU per request to the same app by each way: checked and counted, and only proxied."""
    key = platform.publish("bench-site")
    upstream = upstream_port(platform, (directory / "site/index.html").read_bytes())
    nginx, haproxy = Nginx(directory, upstream), Haproxy(directory, upstream, public_keys(platform), key)
    path = "/v1/bench-site/index.html"
    runs = {"gateway": [], "app": [], "nginx": [], "haproxy": []}
    nginx.start()
    haproxy.start(key)
    try:
        wait_until_ok(platform.port, path, key)
        pids = [platform.process.pid]
        for _ in range(arguments.rounds):
            # One after the other, again and again: what else the machine does hits all of them.
            measure = lambda port, path, key, pids: load(port, path, key, pids, arguments.seconds)
            runs["nginx"].append(measure(nginx.port, "/index.html", None, nginx.pids()))
            runs["gateway"].append(measure(platform.port, path, key, pids))
            runs["haproxy"].append(measure(haproxy.port, "/index.html", key, haproxy.pids()))
            host = f"Host: {platform.label()}.localhost"
            app = load(platform.port, "/index.html", None, pids, arguments.seconds, [host])
            runs["app"].append(app)
    finally:
        nginx.stop()
        haproxy.stop()
    cost = lambda name: statistics.median(run["cpu_us"] for run in runs[name])
    rate = lambda name: round(statistics.median(run["requests_per_second"] for run in runs[name]))
    failed = lambda name: sum(run["failed"] for run in runs[name])
    return {
        "gateway, CPU per checked and counted request, µs": round(cost("gateway"), 1),
        "gateway, CPU per request to an app's own host (counted, no check), µs": round(cost("app"), 1),
        "nginx, CPU per plainly proxied request, µs": round(cost("nginx"), 1),
        "HAProxy, CPU per checked (ES256) and counted request, µs": round(cost("haproxy"), 1),
        "gateway ÷ nginx": round(cost("gateway") / cost("nginx"), 2),
        "gateway ÷ HAProxy": round(cost("gateway") / cost("haproxy"), 2),
        "gateway ÷ gateway without a check": round(cost("gateway") / cost("app"), 2),
        "gateway, requests per second": rate("gateway"),
        "nginx, requests per second": rate("nginx"),
        "HAProxy, requests per second": rate("haproxy"),
        "gateway, failed requests": failed("gateway") + failed("app"),
        "nginx, failed requests": failed("nginx"),
        "HAProxy, failed requests": failed("haproxy"),
    }


def public_keys(platform):
    """The platform's keys (JWK) by their ids."""
    with urllib.request.urlopen(f"{platform.url}/.well-known/jwks.json") as answer:
        return {key["kid"]: key for key in json.load(answer)["keys"]}


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pem(key):
    """A P-256 key as a PEM file (RFC 5480)."""
    prefix = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
    text = base64.b64encode(prefix + decode(key["x"]) + decode(key["y"])).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


class Haproxy:
    """A proxy that checks the key's signature and counts by its subject."""

    def __init__(self, directory, upstream, keys, token):
        self.directory = directory / "haproxy"
        self.directory.mkdir()
        self.port = free_port()
        public = self.directory / "key.pem"
        kid = json.loads(decode(token.split(".")[0]))["kid"]
        public.write_text(pem(keys[kid]))
        self.config = self.directory / "haproxy.cfg"
        self.config.write_text(f"""
global
  nbthread 1
defaults
  mode http
  timeout connect 3s
  timeout client 30s
  timeout server 60s
frontend edge
  bind 127.0.0.1:{self.port}
  stick-table type string len 64 size 100k expire 1h store http_req_cnt
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request deny unless {{ var(txn.alg) -m str ES256 }}
  http-request deny unless {{ var(txn.bearer),jwt_verify(txn.alg,"{public}") 1 }}
  http-request set-var(txn.sub) var(txn.bearer),jwt_payload_query('$.sub')
  http-request track-sc0 var(txn.sub)
  default_backend app
backend app
  http-reuse always
  server one 127.0.0.1:{upstream}
""")

    def start(self, key):
        self.process = subprocess.Popen(["haproxy", "-db", "-f", str(self.config)], stderr=subprocess.DEVNULL)
        wait_until_ok(self.port, "/index.html", key)

    def pids(self):
        return [self.process.pid]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


class Nginx:
    """A plain proxy with connections kept to the upstream."""

    def __init__(self, directory, upstream):
        self.directory = directory / "nginx"
        self.directory.mkdir()
        self.port = free_port()
        self.config = self.directory / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        self.config.write_text(f"""
            {user}
            worker_processes 1;
            daemon off;
            pid {self.directory}/pid;
            error_log {self.directory}/error.log;
            events {{ worker_connections 1024; }}
            http {{
              access_log off;
              client_body_temp_path {self.directory}/body;
              proxy_temp_path {self.directory}/proxy;
              fastcgi_temp_path {self.directory}/fastcgi;
              uwsgi_temp_path {self.directory}/uwsgi;
              scgi_temp_path {self.directory}/scgi;
              upstream app {{ server 127.0.0.1:{upstream}; keepalive {CONNECTIONS}; }}
              server {{
                listen 127.0.0.1:{self.port};
                keepalive_requests 1000000000;
                location / {{
                  proxy_pass http://app;
                  proxy_http_version 1.1;
                  proxy_set_header Connection "";
                }}
              }}
            }}""")

    def start(self):
        self.process = subprocess.Popen(["nginx", "-c", str(self.config), "-e", str(self.directory / "error.log")])
        wait_until_ok(self.port, "/index.html", None)

    def pids(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def stop(self):
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=30)
