"""Instructions of one checked and counted call in the gateway, as callgrind counts them: the same on every machine
of one kind, however busy it is. A report, compared with what was recorded last for the same build."""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

RECORDED = pathlib.Path(__file__).parent / "results" / "instructions.json"
# All that is done for a connection. The runtime's own waiting isn't in it, nor is the start.
CONNECTION = re.compile(r"^\s*([\d,]+) .*h1::dispatcher::Dispatcher<.*Future>::poll\b(?!')")
# Of the threads, the one that has this is the gateway's.
GATEWAY = "slipway_v1api::front::Worker"


def main():
    arguments = parse_arguments()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="slipway-instructions-"))
    try:
        counted = count(arguments, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    print(report(arguments.profile, counted, recorded.get(arguments.profile)))
    if arguments.record:
        recorded[arguments.profile] = counted
        RECORDED.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True, type=pathlib.Path, help="v1api's example hot_path")
    parser.add_argument("--profile", required=True, help="how it was built")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--record", action="store_true", help="keep the figure to compare with")
    return parser.parse_args()


def count(arguments, directory):
    """Instructions per call."""
    out = directory / "out"
    tool = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}"]
    command = [*tool, arguments.program, str(arguments.calls), "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the gateway didn't run under callgrind:\n{done.stdout}{done.stderr}")
    # What each thread did; a name stands in a file once.
    threads = [path for path in directory.glob("out-*") if GATEWAY in path.read_text(errors="replace")]
    figures = [figure for path in threads if (figure := inclusive(path)) is not None]
    if not figures:
        sys.exit("callgrind has counted nothing of the gateway: have its functions got other names?")
    return round(max(figures) / arguments.calls)


def inclusive(path):
    """Instructions of a thread's connections, with all that they led to."""
    command = ["callgrind_annotate", "--inclusive=yes", "--threshold=100", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        if found := CONNECTION.match(line):
            return int(found[1].replace(",", ""))
    return None


def report(profile, counted, recorded):
    if recorded is None:
        return f"{counted} instructions per call ({profile}); nothing is recorded to compare with"
    change = (counted / recorded - 1) * 100
    return f"{counted} instructions per call ({profile}), {change:+.1f} % against the {recorded} recorded"


if __name__ == "__main__":
    main()
