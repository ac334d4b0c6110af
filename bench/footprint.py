"""Memory of what the gateway holds: connections that nobody uses, keys it has verified, routes it knows."""

import http.client
import socket
import statistics

from harness import cpu_seconds, load

CONNECTIONS = 9_000
KEYS = 4_000
# As many as one person may have.
KEYS_OF_ONE = 500
ROUTES = 4_000


def measure_footprint(arguments, stage):
    results = idle_connections(stage)
    results.update(cold_keys(stage))
    results.update(routes(arguments, stage))
    return results


def idle_connections(stage):
    """KiB that each kept connection takes, beside nginx."""
    platform, results = stage.platform, {}
    ways = {
        "gateway": (platform.port, stage.path, stage.key, platform.settled_memory),
        "nginx": (stage.nginx.port, "/index.html", None, stage.nginx.settled_memory),
    }
    for name, (port, path, key, memory) in ways.items():
        request = f"GET {path} HTTP/1.1\r\nhost: localhost:{port}\r\n"
        request += f"authorization: Bearer {key}\r\n" if key else ""
        request = (request + "\r\n").encode()
        before = memory()
        held = [answered(port, request) for _ in range(CONNECTIONS)]
        results[f"{name}, an idle connection, KiB"] = round((memory() - before) * 1024 / len(held), 2)
        for connection in held:
            connection.close()
    return results


def answered(port, request):
    """A connection that has had its answer and is kept."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(request)
    answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
    return connection


def cold_keys(stage):
    """CPU of a call by a key that was never seen, and what is kept of it."""
    platform = stage.platform
    keys = []
    for _ in range(KEYS // KEYS_OF_ONE):
        platform.sign_in()
        platform.become_member()
        keys += [platform.generate(f"cold-{number}", stage.service) for number in range(KEYS_OF_ONE)]
    memory, cpu = platform.settled_memory(), cpu_seconds(platform.process.pid)
    connection = http.client.HTTPConnection("127.0.0.1", platform.port)
    for key in keys:
        connection.request("GET", stage.path, headers={"authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
    cpu = cpu_seconds(platform.process.pid) - cpu
    connection.close()
    return {
        "gateway, CPU of a call by a key never seen before, µs": round(cpu / KEYS * 1e6, 1),
        "gateway, a key that it has verified, KiB": round((platform.settled_memory() - memory) * 1024 / KEYS, 2),
    }


def routes(arguments, stage):
    """What each more service takes, and whether a call costs more among many."""
    platform = stage.platform
    pids = [platform.process.pid]
    cost = lambda: statistics.median(
        load(platform.port, stage.path, stage.key, pids, arguments.seconds)["cpu_us"] for _ in range(3)
    )
    few, memory = cost(), platform.settled_memory()
    for number in range(ROUTES):
        platform.name_service(f"bench-route-{number}", f"http://127.0.0.1:{stage.upstream}", key=False)
    memory = platform.settled_memory() - memory
    return {
        "gateway, a route, KiB": round(memory * 1024 / ROUTES, 2),
        f"gateway, CPU per request among {ROUTES} routes ÷ among few": round(cost() / few, 2),
    }
