"""Tries to read what isn't this app's own, and prints what came of it, a JSON object a line."""

import base64
import ctypes
import json
import os
import sys
import urllib.error
import urllib.request

phase = sys.argv[1]
with open("targets.json") as file:
    targets = json.load(file)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def tell(what, place, got):
    print("PROBE " + json.dumps({"phase": phase, "what": what, "place": place, "got": got}), flush=True)


def attempt(what, place, work):
    try:
        tell(what, place, "open: " + work())
    except (OSError, EOFError) as error:
        tell(what, place, "refused: " + type(error).__name__)


def read(path):
    with open(path, "rb") as file:
        return base64.b64encode(file.read(1500)).decode()


def ask(url, method, headers):
    request = urllib.request.Request(url, method=method, headers=headers, data=b"{}" if method != "GET" else None)
    try:
        with opener.open(request, timeout=20) as response:
            return "%d %s" % (response.status, response.read(1500).decode(errors="replace"))
    except urllib.error.HTTPError as error:
        return "%d %s" % (error.code, error.read(1500).decode(errors="replace"))


def trace(pid):
    # PTRACE_SEIZE, which doesn't stop what it can't have.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0x4206, pid, 0, 0) == -1:
        raise OSError(ctypes.get_errno(), "ptrace")
    return "traced"


for path in targets["files"]:
    attempt("file", path, lambda: read(path))
for path in targets["directories"]:
    attempt("directory", path, lambda: " ".join(os.listdir(path)))
for pid in targets["processes"]:
    attempt("trace", str(pid), lambda: trace(pid))
    attempt("signal", str(pid), lambda: str(os.kill(pid, 0)))
forged = {
    "authorization": "Bearer e30.e30.e30",
    "slipway-client-address": "127.0.0.1",
    "slipway-gateway-token": "x",
    "content-type": "application/json",
}
for method, url in targets["requests"]:
    attempt("request", method + " " + url, lambda: ask(url, method, {"content-type": "application/json"}))
    if phase == "app":
        attempt("forged", method + " " + url, lambda: ask(url, method, forged))
tell("environment", "", " ".join(sorted(os.environ)))
tell("end", "", "")
