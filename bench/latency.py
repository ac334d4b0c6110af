"""What a gateway adds to the time of an answer while it has half as much to do as it can."""

import subprocess

from harness import CONNECTIONS, load

PERCENTILES = {"p50": 0.50, "p99": 0.99, "p99.9": 0.999}


def measure_latency(arguments, stage):
    """Times at the same rate straight to the app, by nginx and by the gateway; the rate is half of the gateway's."""
    platform = stage.platform
    most = load(platform.port, stage.path, stage.key, [platform.process.pid], arguments.seconds)
    rate = int(most["requests_per_second"] / 2)
    log = stage.directory / "latency.log"
    ways = {
        "direct": (stage.upstream, "/index.html", None),
        "nginx": (stage.nginx.port, "/index.html", None),
        "gateway": (platform.port, stage.path, stage.key),
    }
    times = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            times[name].extend(answer_times(log, *way, rate, arguments.seconds))
    results = {"requests per second at which times were taken": rate}
    for label, share in PERCENTILES.items():
        direct = percentile(times["direct"], share)
        results[f"an answer straight from the app, {label} µs"] = direct
        for name in ("nginx", "gateway"):
            results[f"{name} adds, {label} µs"] = percentile(times[name], share) - direct
    return results


def answer_times(log, port, path, key, rate, seconds):
    """Microseconds that each answer took, at a rate that doesn't wait for answers to come."""
    log.unlink(missing_ok=True)
    command = ["h2load", "--h1", "-t", "1", "-c", str(CONNECTIONS), "-D", str(seconds), "--warm-up-time", "1"]
    # h2load takes the rate per connection.
    command += ["--rps", str(max(1, rate // CONNECTIONS)), "--log-file", str(log)]
    command += ["-H", f"Authorization: Bearer {key}"] if key else []
    subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, check=True)
    # Start, status, duration (µs), tab-separated.
    lines = (line.split("\t") for line in log.read_text().splitlines())
    return [int(took) for _, status, took in lines if status == "200"]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
