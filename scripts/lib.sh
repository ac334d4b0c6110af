# shellcheck shell=bash
# What the scripts share: words on standard error, the project's folders, installing packages.
# Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Everything that the scripts download, start or keep stands here, and `make clean-tools` removes it.
export TOOLS="$ROOT/.tools"
export PATH="$TOOLS/bin:$PATH"

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Where cargo puts what it builds.
target_directory() {
  (cd "$ROOT" && cargo metadata --no-deps --format-version 1) | sed -E 's/.*"target_directory":"([^"]*)".*/\1/'
}

# Runs a command as root: directly, or by sudo where that asks for no password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
can_be_root() {
  [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }
}

# Servers that come with a package are not to start by themselves: what the tests need is started
# privately, on ports of its own. Debian asks this file; an existing one is left as it is.
without_autostart() {
  local policy=/usr/sbin/policy-rc.d made="" status=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    made=yes
  fi
  "$@" || status=$?
  [ -z "$made" ] || as_root rm -f "$policy"
  return "$status"
}

# apt_install WHAT-FOR PACKAGE…: installs Debian packages, or says what a person has to do.
apt_install() {
  local purpose=$1
  shift
  have apt-get || die "$purpose is missing. Install it with your system's package manager (Debian's packages: $*), then try again."
  can_be_root || die "$purpose is missing. Run: sudo apt-get install $*"
  say "installing $* ($purpose)"
  local log
  log=$(mktemp)
  if ! without_autostart apt_get_quietly "$@" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "apt-get could not install $*; its last lines are above."
  fi
  rm -f "$log"
}
apt_get_quietly() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

# with_lock NAME COMMAND…: two runs at once take turns at what they both would set up.
with_lock() {
  local name=$1
  shift
  mkdir -p "$TOOLS"
  if ! have flock; then
    "$@"
    return
  fi
  exec 9>"$TOOLS/$name.lock"
  flock 9
  "$@"
  exec 9>&-
}
