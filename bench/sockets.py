"""WebSocket messages through the gateway and through nginx: small ones, each answered before the next."""

import asyncio
import base64
import contextlib
import hashlib
import os
import statistics

from harness import cpu_seconds
from peers import Nginx

CONNECTIONS = 32
MESSAGES = 1_000
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# A masked text frame of 32 bytes (RFC 6455, section 5.2), its mask being nothing.
FRAME = bytes([0x81, 0x80 | 32, 0, 0, 0, 0]) + b"x" * 32


def measure_sockets(arguments, stage):
    return asyncio.run(compare(arguments, stage))


async def compare(arguments, stage):
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    nginx = Nginx(stage.directory / "nginx-sockets", port, upgrades=True)
    # In threads, for the echo server runs on this loop.
    await asyncio.to_thread(nginx.start, "/plain")
    platform = stage.platform
    key = await asyncio.to_thread(platform.name_service, "bench-echo", f"http://127.0.0.1:{port}")
    ways = {
        "nginx": (nginx.port, "/", None, nginx.pids()),
        "gateway": (platform.port, "/v1/bench-echo/", key, [platform.process.pid]),
    }
    runs = {name: [] for name in ways}
    try:
        for _ in range(arguments.rounds):
            for name, (port, path, key, pids) in ways.items():
                before = sum(map(cpu_seconds, pids))
                await asyncio.gather(*(talk(port, path, key) for _ in range(CONNECTIONS)))
                used = sum(map(cpu_seconds, pids)) - before
                runs[name].append(used / (CONNECTIONS * MESSAGES) * 1e6)
    finally:
        nginx.stop()
        server.close()
    cost = {name: statistics.median(run) for name, run in runs.items()}
    return {
        "gateway, CPU per WebSocket message and its answer, µs": round(cost["gateway"], 1),
        "nginx, CPU per WebSocket message and its answer, µs": round(cost["nginx"], 1),
        "gateway ÷ nginx, WebSocket": round(cost["gateway"] / cost["nginx"], 2),
    }


async def talk(port, path, key):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    nonce = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {path} HTTP/1.1", f"host: localhost:{port}", "connection: upgrade", "upgrade: websocket"]
    lines += ["sec-websocket-version: 13", f"sec-websocket-key: {nonce}"]
    lines += [f"authorization: Bearer {key}"] if key else []
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    for _ in range(MESSAGES):
        writer.write(FRAME)
        await reader.readexactly(len(FRAME))
    writer.close()


async def echo(reader, writer):
    """Agrees to the upgrade, then sends back whatever comes, frames as they are."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    if "upgrade" not in headers:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()
        return
    # The names were made lower-case with their values; the nonce must not be.
    nonce = next(line for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(nonce.split(": ", 1)[1].encode() + GUID).digest()).decode()
    answer = ["HTTP/1.1 101 Switching Protocols", "connection: upgrade", "upgrade: websocket"]
    writer.write("\r\n".join([*answer, f"sec-websocket-accept: {accept}", "", ""]).encode())
    # Those that are still open when the measurement ends are given up with it.
    with contextlib.suppress(asyncio.CancelledError):
        while piece := await reader.read(65536):
            writer.write(piece)
    writer.close()
