"""Signing in: what it costs beside its hashing, what a flood of it does to everything else, and
whether its time tells who exists."""

import json
import statistics
import subprocess
import threading
import time

from harness import Platform, cpu_seconds, wrk

PASSWORD = "correct horse battery"
# Enough for a classifier that is right in 6 of 10 cases to be seen, and one that guesses not to be.
PAIRS = 400


def measure_identity(arguments, directory):
    platform = Platform(arguments.slipway, directory)
    # Tries are paced by address: each of ours says that it comes from another one.
    platform.environment["SLIPWAY_HTTP__TRUSTED_PROXIES"] = "127.0.0.1"
    platform.start()
    try:
        results = costs(arguments)
        people = [platform.register(f"person-{number}@example.com", PASSWORD) for number in range(PAIRS)]
        results.update(logins(arguments, platform, people, results))
        results.update(refreshes(arguments, directory, platform, people[0]))
        results.update(flood(arguments, directory, platform, people[0], results))
        results.update(enumeration(platform, people))
    finally:
        platform.stop()
    return results


def costs(arguments):
    """What the dear parts cost by themselves."""
    took = json.loads(subprocess.run([arguments.costs], capture_output=True, text=True, check=True).stdout)
    verify_rate = openssl_verify_rate()
    return {
        "token verified (ES256), µs": round(took["es256_verify_us"], 1),
        "token verified ÷ OpenSSL's ECDSA P-256 verification alone": round(took["es256_verify_us"] * verify_rate / 1e6, 2),
        "token signed (ES256), µs": round(took["es256_sign_us"], 1),
        "token verified (EdDSA), µs": round(took["eddsa_verify_us"], 1),
        "password hashed, ms": round(took["password_hash_ms"], 1),
    }


def openssl_verify_rate():
    """Verifications per second and core."""
    command = ["openssl", "speed", "-seconds", "2", "ecdsap256"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return float(next(line for line in lines if "nistp256" in line).split()[-1])


def logins(arguments, platform, people, known):
    """CPU of a sign-in, and how much of it isn't hashing."""
    before = cpu_seconds(platform.process.pid)
    took = []
    for person in people:
        began = time.monotonic()
        status, _ = platform.ask("POST", "/auth/euser/emailpass", person.credentials(PASSWORD))
        assert status == 200, status
        took.append(time.monotonic() - began)
    cpu_ms = (cpu_seconds(platform.process.pid) - before) * 1000 / len(people)
    hashing = known["password hashed, ms"]
    return {
        "login, median ms": round(statistics.median(took) * 1000, 1),
        "login, CPU ms": round(cpu_ms, 1),
        "login, share of the CPU that is not hashing": round(max(0.0, 1 - hashing / cpu_ms), 2),
    }


def refreshes(arguments, directory, platform, person):
    script = directory / "refresh.lua"
    script.write_text(f'wrk.method = "POST"\nwrk.headers["Authorization"] = "Bearer {person.token}"\n')
    run = wrk(platform, "/auth/token/refresh", arguments.seconds, 8, script)
    return {
        "refresh, CPU µs": round(run["cpu_us"]),
        "refreshes per second": round(run["requests_per_second"]),
        "refresh, failed": run["failed"],
    }


def flood(arguments, directory, platform, person, known):
    """Ten times as many at once as are let in to be hashed. What is too much is told so quickly, and
    who has a token doesn't notice."""
    calm = [timed_refresh(platform, person)[1] for _ in range(200)]
    script = directory / "login.lua"
    body = json.dumps(person.credentials(PASSWORD))
    script.write_text(
        f"wrk.method = \"POST\"\nwrk.body = '{body}'\nwrk.headers[\"Content-Type\"] = \"application/json\"\n"
    )
    stop, refused, during, failed = threading.Event(), [], [], []

    def watch():
        while not stop.is_set():
            status, took = timed_refresh(platform, person)
            (during if status == 200 else failed).append(took)
            began = time.monotonic()
            status, headers = platform.ask("POST", "/auth/euser/emailpass", person.credentials(PASSWORD))
            if status == 503:
                assert headers["retry-after"], "a refusal says when to come back"
                refused.append(time.monotonic() - began)

    watcher = threading.Thread(target=watch)
    watcher.start()
    run = wrk(platform, "/auth/euser/emailpass", arguments.seconds, 340, script)
    stop.set()
    watcher.join()
    # What was let in is still hashed for those who have gone.
    while platform.ask("POST", "/auth/euser/emailpass", person.credentials(PASSWORD))[0] != 200:
        time.sleep(0.1)
    good = (run["requests"] - run["failed"]) / arguments.seconds
    return {
        "flood: logins per second": round(good, 1),
        "flood: refused per second": round(run["failed"] / arguments.seconds),
        "flood: a refusal takes, median ms": ms(refused, 0.5),
        "flood: a refusal takes, p99 ms": ms(refused, 0.99),
        "refresh beside it, median ms": ms(during, 0.5),
        "refresh beside it, p99 ms": ms(during, 0.99),
        "refresh beside it, failed": len(failed),
        "refresh in calm, median ms": ms(calm, 0.5),
        "refresh in calm, p99 ms": ms(calm, 0.99),
    }


def ms(seconds, share):
    ordered = sorted(seconds)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 1) if ordered else None


def timed_refresh(platform, person):
    began = time.monotonic()
    status, _ = platform.ask("POST", "/auth/token/refresh", None, token=person.token)
    return status, time.monotonic() - began


def enumeration(platform, people):
    """How well the time of an answer tells an address that is there from one that isn't: 0.5 is not
    at all, 1 is always."""
    routes = {
        "login": ("/auth/euser/emailpass", lambda email: {"email": email, "password": "another one entirely"}),
        "reset-password": ("/auth/euser/emailpass/reset-password", lambda email: {"identifier": email}),
        "verte-auth login": ("/api/users/login", lambda email: {"email": email, "password": "another one entirely"}),
    }
    results = {}
    for name, (path, body) in routes.items():
        known, unknown = [], []
        for number, person in enumerate(people):
            # In turns, so that what else the machine does hits both alike; which comes first changes.
            pair = [(known, person.email), (unknown, f"nobody-{number}@example.com")]
            for times, email in pair if number % 2 else reversed(pair):
                times.append(timed(platform, path, body(email), f"10.{number % 200}.{number // 200}.{len(times) % 250}"))
        results[f"{name}: AUC of the time for who exists ({PAIRS} pairs)"] = round(auc(known, unknown), 3)
    return results


def timed(platform, path, body, address):
    began = time.perf_counter()
    status, _ = platform.ask("POST", path, body, headers={"X-Forwarded-For": address})
    took = time.perf_counter() - began
    assert status in (201, 401), f"{path}: {status}"
    return took


def auc(ones, others):
    """The probability that one of the first took longer than one of the others, or its reverse if
    that is greater (Mann and Whitney)."""
    wins = sum((one > other) + 0.5 * (one == other) for one in ones for other in others)
    share = wins / (len(ones) * len(others))
    return max(share, 1 - share)
