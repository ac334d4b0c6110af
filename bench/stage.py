"""A platform with a site that is published as a service, and the peers in front of the same site."""

import pathlib

from harness import Platform, upstream_port, wait_until_ok
from peers import Haproxy, Nginx, public_keys

SERVICE = "bench-site"


class Stage:
    """All that the gateway is measured with. Its platform has started and has the site."""

    def __init__(self, platform, directory):
        self.platform, self.directory = platform, directory
        self.service, self.path = SERVICE, f"/v1/{SERVICE}/index.html"
        self.key = platform.publish(SERVICE)
        self.upstream = upstream_port(platform, (directory / "site/index.html").read_bytes())
        self.nginx = Nginx(directory / "nginx", self.upstream)
        self.haproxy = Haproxy(directory, self.upstream, public_keys(platform), self.key)

    def __enter__(self):
        self.nginx.start()
        self.haproxy.start(self.key)
        wait_until_ok(self.platform.port, self.path, self.key)
        return self

    def __exit__(self, *_):
        self.nginx.stop()
        self.haproxy.stop()


def make_site(directory):
    site = directory / "site"
    site.mkdir()
    (site / "index.html").write_text("hello\n" * 20)
    return site


def start_with_site(program, directory):
    """A platform that has just started with one site live."""
    platform = Platform(program, directory)
    platform.start()
    platform.sign_in()
    platform.deploy(make_site(directory), 0)
    return platform
