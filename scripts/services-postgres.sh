# shellcheck shell=bash
# A private PostgreSQL: sourced by scripts/services.

# postgres_answers URL
postgres_answers() {
  local host port
  read -r host port < <(host_and_port "$1" 5432)
  port_is_open "$host" "$port" || return 1
  # Without the client an open port has to be proof enough.
  have psql || return 0
  PGCONNECT_TIMEOUT=5 psql -X -q -d "$1" -c 'select 1' >/dev/null 2>&1 </dev/null
}

# Prints the folder of the server's programs; the newest version where there are several.
postgres_programs() {
  local dir
  if have initdb && have postgres; then
    dirname "$(command -v initdb)"
    return
  fi
  dir=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
  [ -n "$dir" ] && [ -x "$dir/initdb" ] && echo "$dir"
}

# Ours forgets in a power cut, which saves the tests most of their time; another's must not.
postgres_is_better_private() { postgres_programs >/dev/null; }

postgres_install() {
  postgres_programs >/dev/null || apt_install "PostgreSQL" postgresql postgresql-client
  postgres_programs >/dev/null || die "PostgreSQL is installed, but its programs are not found."
}

postgres_start() {
  local programs user data port
  programs=$(postgres_programs)
  user=$(service_user postgres)
  data=$(fresh_directory postgres "$user")
  port=$(free_port)
  run_as "$user" "$programs/initdb" --pgdata "$data/pg" --username postgres --auth trust \
    --encoding UTF8 --locale C --no-sync >"$STATE/postgres/output.log" 2>&1 ||
    { tail -n 20 "$STATE/postgres/output.log" >&2 && die "initdb failed; its last words are above."; }
  echo "postgres://postgres@127.0.0.1:$port/postgres" >"$STATE/postgres/url"
  # Thrown away after the tests, so it need not survive a power cut: several times faster.
  launch postgres "$user" "$programs/postgres" -D "$data/pg" -p "$port" \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off
  wait_until postgres postgres_answers "$(cat "$STATE/postgres/url")"
}

# "Fast shutdown": ends sessions instead of waiting for them. To the server itself, not to its
# children: $1 may be the process that started it as another user.
postgres_terminate() {
  local server
  server=$(head -n 1 "$(cat "$STATE/postgres/directory")/pg/postmaster.pid" 2>/dev/null || echo "$1")
  kill -INT "$server"
}

postgres_cleanup() { :; }
