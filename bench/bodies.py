"""Long bodies: what it costs to pass them, beside nginx."""

import statistics
import subprocess

from harness import cpu_seconds
from peers import FileServer, Nginx

SIZES = {"1 MB": 1_000_000, "1 GB": 1_000_000_000}


def measure_bodies(arguments, stage):
    """Bytes per second and CPU per gigabyte, from one file server by nginx and by the gateway."""
    files = stage.directory / "files"
    files.mkdir()
    for name, size in SIZES.items():
        with (files / name.replace(" ", "")).open("wb") as file:
            # A file of nothing but holes is read from memory: no disk is measured.
            file.truncate(size)
    server = FileServer(stage.directory, files)
    server.start("/1MB")
    nginx = Nginx(stage.directory / "nginx-bodies", server.port)
    nginx.start("/1MB")
    platform = stage.platform
    key = platform.name_service("bench-files", f"http://127.0.0.1:{server.port}")
    ways = {
        "nginx": (nginx.port, "", None, nginx.pids()),
        "gateway": (platform.port, "/v1/bench-files", key, [platform.process.pid]),
    }
    try:
        results = {}
        for name, size in SIZES.items():
            runs = {way: [] for way in ways}
            for _ in range(arguments.rounds):
                for way, (port, prefix, key, pids) in ways.items():
                    url = f"http://127.0.0.1:{port}{prefix}/{name.replace(' ', '')}"
                    runs[way].append(download(url, key, pids, size))
            results.update(compared(name, runs))
        return results
    finally:
        nginx.stop()
        server.stop()


def download(url, key, pids, size):
    """Fetches a gigabyte in bodies of this size, one after the other on one connection."""
    times = max(1, 1_000_000_000 // size)
    command = ["curl", "--silent", "--fail", "--output", "/dev/null", "--write-out", "%{time_total}\n"]
    command += ["--header", f"Authorization: Bearer {key}"] if key else []
    # Ranges in an URL repeat the request.
    before = sum(map(cpu_seconds, pids))
    done = subprocess.run([*command, f"{url}?[1-{times}]"], capture_output=True, text=True, check=True)
    used = sum(map(cpu_seconds, pids)) - before
    took = sum(map(float, done.stdout.split()))
    return {"cpu_s": used, "mb_per_s": times * size / took / 1e6}


def compared(name, runs):
    middle = lambda way, what: statistics.median(run[what] for run in runs[way])
    results = {}
    for way in runs:
        results[f"{way}, bodies of {name}, MB/s"] = round(middle(way, "mb_per_s"))
        results[f"{way}, bodies of {name}, CPU per GB, ms"] = round(middle(way, "cpu_s") * 1000)
    ratio = middle("gateway", "cpu_s") / middle("nginx", "cpu_s")
    results[f"gateway ÷ nginx, bodies of {name}"] = round(ratio, 2)
    return results
