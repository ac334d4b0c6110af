"""The peers that the gateway is measured beside, each with what it can do of the same work, on one worker."""

import base64
import json
import os
import pathlib
import signal
import subprocess
import urllib.request

from harness import CONNECTIONS, free_port, memory_mib, settled, wait_until_ok

# As many as a worker of ours takes.
MOST_CONNECTIONS = 20_000


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
    """A plain proxy with connections kept to the upstream; with `upgrades` each connection becomes a WebSocket."""

    def __init__(self, directory, upstream, upgrades=False):
        connection = '"upgrade"' if upgrades else '""'
        upgrade = "proxy_set_header Upgrade $http_upgrade;" if upgrades else ""
        self.directory = directory
        self.port = free_port()
        self.config = configured(
            directory,
            f"""
              upstream app {{ server 127.0.0.1:{upstream}; keepalive {CONNECTIONS}; }}
              server {{
                listen 127.0.0.1:{self.port};
                keepalive_requests 1000000000;
                location / {{
                  proxy_pass http://app;
                  proxy_http_version 1.1;
                  proxy_set_header Connection {connection};
                  {upgrade}
                }}
              }}""",
        )

    def start(self, path="/index.html"):
        self.process = subprocess.Popen(["nginx", "-c", str(self.config), "-e", str(self.directory / "error.log")])
        wait_until_ok(self.port, path, None)

    def pids(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def settled_memory(self):
        """Resident memory in MiB, once it changes no more."""
        return settled(lambda: sum(map(memory_mib, self.pids())))

    def stop(self):
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=30)


class FileServer(Nginx):
    """Serves a directory: an upstream that is not what holds anything up."""

    def __init__(self, directory, files):
        self.directory = directory / "file-server"
        self.port = free_port()
        self.config = configured(
            self.directory,
            f"""
              sendfile on;
              server {{
                listen 127.0.0.1:{self.port};
                keepalive_requests 1000000000;
                root {files};
              }}""",
        )


def configured(directory, servers):
    """A configuration of one worker that keeps what it writes in a directory."""
    directory.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    config = directory / "nginx.conf"
    config.write_text(f"""
            {user}
            worker_processes 1;
            daemon off;
            pid {directory}/pid;
            error_log {directory}/error.log;
            events {{ worker_connections {MOST_CONNECTIONS}; }}
            http {{
              access_log off;
              client_body_temp_path {directory}/body;
              proxy_temp_path {directory}/proxy;
              fastcgi_temp_path {directory}/fastcgi;
              uwsgi_temp_path {directory}/uwsgi;
              scgi_temp_path {directory}/scgi;
              {servers}
            }}""")
    return config
