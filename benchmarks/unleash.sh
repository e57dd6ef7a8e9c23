#!/usr/bin/env bash
# Unleash beside us: a server of its open source release over a PostgreSQL of its own, for benchmarks/propagate.py.
#
#   benchmarks/unleash.sh start FOLDER   installs what is missing into FOLDER, starts both, prints what to set
#   benchmarks/unleash.sh stop FOLDER
#
# Needs Node 20 with npm, and PostgreSQL's programs on PATH. Both listen on 127.0.0.1 only. FOLDER has to stand outside
# the repository, and where the user `postgres` can reach it if this is run as root, which PostgreSQL refuses to run as.
set -euo pipefail

RELEASE=7.5.1
PORT=${PORT:-4242}
DATABASE_PORT=${DATABASE_PORT:-55432}
ADMIN_TOKEN='*:*.signalbox-bench-admin'
CLIENT_TOKEN='default:development.signalbox-bench-client'

say() { echo "unleash: $*" >&2; }
as_owner() { if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
database() { as_owner pg_ctl -D "$folder/postgres/data" "$@" >/dev/null; }

install() {
  [ -d "$folder/server/node_modules/unleash-server" ] && return
  say "installing the server, release $RELEASE"
  mkdir -p "$folder/server"
  (cd "$folder/server" && npm init --yes >/dev/null && npm install --silent "unleash-server@$RELEASE")
}

start_database() {
  mkdir -p "$folder/postgres"
  if [ "$(id -u)" -eq 0 ]; then chown postgres "$folder/postgres"; fi
  [ -d "$folder/postgres/data" ] || as_owner initdb -D "$folder/postgres/data" -A trust -U unleash >/dev/null
  database status && return
  database -w -l "$folder/postgres/log" \
    -o "-p $DATABASE_PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories=$folder/postgres" start
  as_owner createdb -h 127.0.0.1 -p "$DATABASE_PORT" -U unleash unleash 2>/dev/null || true # it is there already
}

start_server() {
  cd "$folder/server"
  env HTTP_HOST=127.0.0.1 HTTP_PORT="$PORT" UNLEASH_URL="http://127.0.0.1:$PORT" TZ=UTC LOG_LEVEL=warn \
    DATABASE_HOST=127.0.0.1 DATABASE_PORT="$DATABASE_PORT" DATABASE_NAME=unleash DATABASE_USERNAME=unleash \
    DATABASE_PASSWORD= DATABASE_SSL=false CHECK_VERSION=false SEND_TELEMETRY=false \
    INIT_ADMIN_API_TOKENS="$ADMIN_TOKEN" INIT_BACKEND_API_TOKENS="$CLIENT_TOKEN" \
    node node_modules/unleash-server/dist/server.js >"$folder/server.log" 2>&1 &
  echo $! >"$folder/server.pid"
  for _ in $(seq 600); do
    curl --fail --silent --max-time 1 "http://127.0.0.1:$PORT/health" >/dev/null && return
    kill -0 "$(cat "$folder/server.pid")" 2>/dev/null || { tail -20 "$folder/server.log" >&2; exit 1; }
    sleep 0.1
  done
  say "it did not come up; see $folder/server.log"
  exit 1
}

stop() {
  if [ -f "$folder/server.pid" ]; then kill "$(cat "$folder/server.pid")" 2>/dev/null || true; fi
  rm -f "$folder/server.pid"
  database -m fast stop || true
}

folder=${2:?usage: benchmarks/unleash.sh start|stop FOLDER}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
case $1 in
  start)
    install
    start_database
    start_server
    echo "export UNLEASH_URL=http://127.0.0.1:$PORT UNLEASH_ADMIN_TOKEN='$ADMIN_TOKEN' UNLEASH_CLIENT_TOKEN='$CLIENT_TOKEN'"
    ;;
  stop) stop ;;
  *) say "start or stop, not $1"; exit 2 ;;
esac
