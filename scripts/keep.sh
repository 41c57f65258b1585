#!/bin/sh
# Keeps one process running: starts it again when it ends, whatever ended it. Usage:
#
#     keep.sh NAME RUN_DIR LOG_DIR COMMAND…
#
# RUN_DIR/NAME.keep.pid is this loop, RUN_DIR/NAME.pid what it keeps. SIGTERM to the loop stops both, the process first
# by SIGTERM, after 20 s by SIGKILL. Output goes to LOG_DIR/NAME.log, one older file beside it, each at most ~10 MB.
set -u
name=$1 run=$2 logs=$3
shift 3
log=$logs/$name.log
max_kb=10240
child='' rotator='' stopping=''

mkdir -p "$run" "$logs"
exec >>"$log" 2>&1 </dev/null
echo $$ >"$run/$name.keep.pid"

say() { printf '%s keep %s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$name" "$*"; }

# Copied and truncated, not renamed: the process goes on writing to the same (appending) file.
rotate() {
  # shellcheck disable=SC2012
  if [ "$(du -k "$log" 2>/dev/null | cut -f 1)" -gt $max_kb ] 2>/dev/null; then
    cp "$log" "$log.1" && : >"$log"
  fi
}

# Ends with the loop, even when that was killed.
rotate_each_minute() {
  nap=''
  trap 'kill "$nap" 2>/dev/null; exit 0' TERM
  while kill -0 $$ 2>/dev/null; do
    sleep 60 &
    nap=$!
    wait "$nap"
    rotate
  done
}

stop() {
  stopping=1
  # The signal may come between the start and the note of who was started.
  [ -n "$child" ] || child=${!:-}
  kill "$rotator" 2>/dev/null
  # A child that is still a copy of this shell would lose the signal to a trap that it is about to forget.
  while cmp -s "/proc/$$/cmdline" "/proc/$child/cmdline"; do sleep 0.02; done
  if [ -n "$child" ] && kill -TERM "$child" 2>/dev/null; then
    (
      nap=''
      trap 'kill "$nap" 2>/dev/null; exit 0' TERM
      sleep 20 & nap=$!
      wait "$nap"
      kill -KILL "$child" 2>/dev/null
    ) &
    reaper=$!
    wait "$child"
    while kill -0 "$child" 2>/dev/null; do wait "$child"; done
    kill "$reaper" 2>/dev/null
  fi
  rm -f "$run/$name.pid" "$run/$name.keep.pid"
  say stopped
  exit 0
}
trap stop TERM INT
trap '' HUP

rotate_each_minute &
rotator=$!

# Tenths of a second; doubles from 0.2 s to 5 s, and starts anew after ten seconds of running.
delay=2
while [ -z "$stopping" ]; do
  rotate
  began=$(date +%s)
  child=''
  "$@" &
  child=$!
  echo "$child" >"$run/$name.pid"
  wait "$child"
  status=$?
  rm -f "$run/$name.pid"
  [ $(($(date +%s) - began)) -lt 10 ] || delay=2
  say "ended with status $status after $(($(date +%s) - began)) s; starts again in $((delay / 10)).$((delay % 10)) s"
  sleep "$((delay / 10)).$((delay % 10))" &
  child=$!
  wait "$child"
  delay=$((delay * 2))
  [ $delay -le 50 ] || delay=50
done
