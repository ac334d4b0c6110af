"""Spreads TCP connections over several addresses, in turn, leaving out those that don't answer.

    python3 scripts/balance.py LISTEN_PORT TARGET_PORT...

Stands before the replicas of a service in `make dev-cluster`, as a Kubernetes Service does in a
cluster. All of it on the loopback address.
"""

import asyncio
import itertools
import signal
import sys

HOST = "127.0.0.1"


async def pump(reader, writer):
    """Copies one direction until its end, and passes the end on."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def connect(targets, turn):
    """The first of the targets that answers, beginning with the one whose turn it is."""
    first = next(turn) % len(targets)
    for port in targets[first:] + targets[:first]:
        try:
            return await asyncio.open_connection(HOST, port)
        except OSError:
            continue
    return None


async def serve(listen, targets):
    turn = itertools.count()

    async def handle(reader, writer):
        upstream = await connect(targets, turn)
        if upstream:
            await asyncio.gather(pump(reader, upstream[1]), pump(upstream[0], writer))
            upstream[1].close()
        writer.close()

    server = await asyncio.start_server(handle, HOST, listen)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
