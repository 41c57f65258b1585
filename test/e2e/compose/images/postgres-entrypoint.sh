#!/bin/bash
# What the official image does with the variables that docker-compose.yml uses: on an empty volume, initdb with
# POSTGRES_USER and POSTGRES_PASSWORD and a database POSTGRES_DB (default: named after the user); then the server.
set -euo pipefail
: "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?must be set, as in the official image}"
  mkdir -p "$PGDATA"
  initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local=trust \
    --auth-host=scram-sha-256 --encoding=UTF8 --pgdata="$PGDATA"
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  if [ "$POSTGRES_DB" != postgres ]; then
    # Without a network, so that nobody sees it half made.
    pg_ctl start --wait --pgdata="$PGDATA" --options="-c listen_addresses='' -c unix_socket_directories=/tmp"
    psql --host=/tmp --username="$POSTGRES_USER" --dbname=postgres --command="CREATE DATABASE \"$POSTGRES_DB\""
    pg_ctl stop --wait --mode=fast --pgdata="$PGDATA"
  fi
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/tmp
