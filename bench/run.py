#!/usr/bin/env python3
"""Measures what the platform costs: start, idle memory, its share of a deployment, the gateway's work
per request beside nginx and HAProxy, and signing in. All in one run on one machine.

    bench/run.py --slipway target/release/slipway --costs target/release/examples/costs
                 [--seconds N] [--rounds N] [--only platform|identity] [--output FILE]

Needs nginx, HAProxy and wrk. Everything runs on loopback, in a directory that is removed at the end.
"""

import argparse
import json
import pathlib
import shutil
import tempfile

from gateway import compare_with_peers
from harness import Platform, median_ms
from identity import measure_identity


def main():
    arguments = parse_arguments()
    results = {}
    for name, measure in [("platform", measure_platform), ("identity", measure_identity)]:
        if arguments.only in (None, name):
            results.update(in_a_directory(measure, arguments))
    text = json.dumps(results, indent=2, ensure_ascii=False)
    print(text)
    if arguments.output:
        pathlib.Path(arguments.output).write_text(text + "\n")


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--slipway", required=True, type=pathlib.Path)
    parser.add_argument("--costs", required=True, type=pathlib.Path, help="auth's example of that name")
    parser.add_argument("--seconds", type=int, default=8, help="of load per measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["platform", "identity"])
    parser.add_argument("--output")
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


def measure_platform(arguments, directory):
    first = Platform(arguments.slipway, directory)
    first_start = first.start()
    fresh_memory = first.settled_memory()
    first.sign_in()
    results = {"first start to ready, ms": round(first_start * 1000)}
    results["idle memory, MiB"] = fresh_memory
    results["idle memory after a login, MiB"] = first.settled_memory()
    first.stop()
    starts = []
    for _ in range(arguments.rounds):
        starts.append(first.start())
        first.stop()
    results["start to ready on existing data, ms"] = median_ms(starts)

    first.start()
    try:
        site = make_site(directory)
        deployments = [first.deploy(site, number) for number in range(arguments.rounds)]
        results["push to live of a static site, ms"] = median_ms(deployments)
        results["idle memory with one app, MiB"] = first.settled_memory()
        results.update(compare_with_peers(arguments, directory, first))
        results["memory after the load, MiB"] = first.settled_memory()
    finally:
        first.delete_all()
        first.stop()
    return results


def make_site(directory):
    site = directory / "site"
    site.mkdir()
    (site / "index.html").write_text("hello\n" * 20)
    return site


if __name__ == "__main__":
    main()
