#!/usr/bin/env python3
"""Measures what the platform costs: start, idle memory, its share of a deployment, the gateway's work
beside nginx and HAProxy, and signing in. Each part is one run on one machine.

    bench/run.py --slipway target/release/slipway --costs target/release/examples/costs
                 [--seconds N] [--rounds N] [--only PART…] [--output DIRECTORY]

Needs nginx, HAProxy, wrk, h2load and curl. Everything runs on loopback, in a directory that is removed
at the end. With --output each part writes PART.json there, and gateway.svg draws the ratios.
"""

import argparse
import json
import os
import pathlib
import platform as machine
import shutil
import tempfile

from bodies import measure_bodies
from footprint import measure_footprint
from gateway import measure_costs
from identity import measure_identity
from latency import measure_latency
from platform_costs import measure_platform
from plot import draw_ratios
from sockets import measure_sockets
from stage import Stage, start_with_site


def on_a_stage(measure):
    """A measurement that wants the platform with a site, and the peers."""

    def measured(arguments, directory):
        platform = start_with_site(arguments.slipway, directory)
        try:
            with Stage(platform, directory) as stage:
                return measure(arguments, stage)
        finally:
            platform.delete_all()
            platform.stop()

    return measured


PARTS = {
    "platform": measure_platform,
    "gateway": on_a_stage(measure_costs),
    "latency": on_a_stage(measure_latency),
    "bodies": on_a_stage(measure_bodies),
    "sockets": on_a_stage(measure_sockets),
    "footprint": on_a_stage(measure_footprint),
    "identity": measure_identity,
}


def main():
    arguments = parse_arguments()
    results = {}
    for name in arguments.only or PARTS:
        results[name] = in_a_directory(PARTS[name], arguments)
        print(json.dumps({name: results[name]}, indent=2, ensure_ascii=False), flush=True)
        if arguments.output:
            write(arguments.output / f"{name}.json", {"machine": describe_machine(), **results[name]})
    if arguments.output:
        (arguments.output / "gateway.svg").write_text(draw_ratios(arguments.output))


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--slipway", required=True, type=pathlib.Path)
    parser.add_argument("--costs", required=True, type=pathlib.Path, help="auth's example of that name")
    parser.add_argument("--seconds", type=int, default=8, help="of load per measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=list(PARTS), nargs="+")
    parser.add_argument("--output", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.slipway = arguments.slipway.resolve()
    arguments.costs = arguments.costs.resolve()
    return arguments


def in_a_directory(measure, arguments):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="slipway-bench-"))
    # Apps run as users of their own and have to pass through.
    directory.chmod(0o755)
    try:
        return measure(arguments, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def describe_machine():
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    model = next((line.split(":")[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name")), "?")
    return f"{os.cpu_count()} cores of {model}, {machine.system()} {machine.release()}"


def write(path, results):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
