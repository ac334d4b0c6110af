"""What the platform costs before anybody calls it: start, memory, its own share of a deployment."""

from harness import Platform, median_ms
from stage import make_site


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
    finally:
        first.delete_all()
        first.stop()
    return results
