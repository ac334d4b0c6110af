# shellcheck shell=bash
# A private RabbitMQ: sourced by scripts/services.

# rabbitmq_answers URL: greets in AMQP 0-9-1 and expects a method frame on channel 0 (three bytes:
# 1, 0, 0), as every other server answers otherwise.
rabbitmq_answers() {
  local host port
  read -r host port < <(host_and_port "$1" 5672)
  port_is_open "$host" "$port" || return 1
  # shellcheck disable=SC2016 # $0 and $1 are the inner shell's
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"
    printf "AMQP\0\0\011\001" >&3
    [ "$(head -c 3 <&3 | od -An -tu1 | tr -d " \n")" = 100 ]' "$host" "$port" 2>/dev/null
}

# Prints the server's start script. The one on PATH is a wrapper that insists on the system's own
# user and folders where Debian made it.
rabbitmq_programs() {
  local program
  for program in /usr/lib/rabbitmq/bin/rabbitmq-server "$(command -v rabbitmq-server || true)"; do
    if [ -x "$program" ]; then
      echo "$program"
      return
    fi
  done
  return 1
}

# A start of our own would take longer than the tests gain by it.
rabbitmq_is_better_private() { return 1; }

rabbitmq_install() {
  rabbitmq_programs >/dev/null || apt_install "RabbitMQ" rabbitmq-server
  rabbitmq_programs >/dev/null || die "RabbitMQ is installed, but its programs are not found."
}

rabbitmq_start() {
  local program user data port epmd distribution
  program=$(rabbitmq_programs)
  user=$(service_user rabbitmq)
  data=$(fresh_directory rabbitmq "$user")
  port=$(free_port)
  epmd=$(free_port)
  distribution=$(free_port)
  echo "$epmd" >"$STATE/rabbitmq/epmd-port"
  echo "amqp://guest:guest@127.0.0.1:$port" >"$STATE/rabbitmq/url"
  # Its own name server (epmd), cookie, folders and no plug-ins or settings of the system's: so
  # that it neither meets nor disturbs another broker on this machine.
  launch rabbitmq "$user" env -i PATH="$PATH" LANG=C.UTF-8 HOME="$data" \
    ERL_EPMD_PORT="$epmd" ERL_EPMD_ADDRESS=127.0.0.1 \
    RABBITMQ_NODENAME="slipway-$port@localhost" \
    RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$port" RABBITMQ_DIST_PORT="$distribution" \
    RABBITMQ_MNESIA_BASE="$data/mnesia" RABBITMQ_LOG_BASE="$data/log" RABBITMQ_LOGS=- \
    RABBITMQ_PID_FILE="$data/pid" RABBITMQ_CONF_ENV_FILE=/dev/null \
    RABBITMQ_CONFIG_FILE="$data/none" RABBITMQ_ADVANCED_CONFIG_FILE="$data/none" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$data/plugins" RABBITMQ_GENERATED_CONFIG_DIR="$data/config" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}" \
    "$program"
  wait_until rabbitmq rabbitmq_answers "$(cat "$STATE/rabbitmq/url")"
}

rabbitmq_terminate() {
  local server
  server=$(cat "$(cat "$STATE/rabbitmq/directory")/pid" 2>/dev/null || echo "$1")
  kill -TERM "$server"
}

# The name server goes on by itself after its node.
rabbitmq_cleanup() {
  local port
  port=$(cat "$STATE/rabbitmq/epmd-port" 2>/dev/null) || return 0
  epmd -port "$port" -kill >/dev/null 2>&1 || true
}
