"""The gateway's work per request beside nginx as a plain proxy and HAProxy with the same checks, in one run."""

import statistics

from harness import load


def measure_costs(arguments, stage):
    """CPU per request to the same app by each way: checked and counted, and only proxied."""
    platform = stage.platform
    ours = [platform.process.pid]
    ways = {
        "nginx": (stage.nginx.port, "/index.html", None, stage.nginx.pids(), []),
        "gateway": (platform.port, stage.path, stage.key, ours, []),
        "haproxy": (stage.haproxy.port, "/index.html", stage.key, stage.haproxy.pids(), []),
        "app": (platform.port, "/index.html", None, ours, [f"Host: {platform.label()}.localhost"]),
    }
    runs = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        # One after the other, again and again: what else the machine does hits all of them.
        for name, (port, path, key, pids, headers) in ways.items():
            runs[name].append(load(port, path, key, pids, arguments.seconds, headers))
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
