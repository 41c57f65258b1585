#!/bin/sh
# The container of a host: joins by the command `$1` when it starts the first time, and from then on keeps that host
# running, whatever has become of the token. Beside `docker run --init`, which reaps what pods leave.
set -eu
folder=/var/lib/rancher-agent
log=/var/log/rancher-agent.log

# On cgroup v2 only leaves hold processes, and the host makes cgroups beside ours (cgroups(7), "no internal processes").
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir -p /sys/fs/cgroup/init
  while read -r pid; do echo "$pid" >/sys/fs/cgroup/init/cgroup.procs 2>/dev/null || :; done </sys/fs/cgroup/cgroup.procs
fi
# What kubelet mounts for a pod must be seen by its containers.
mount --make-rshared /

: >>$log
if [ -x $folder/program/keep.sh ]; then
  setsid $folder/program/keep.sh >>$log 2>&1 &
else
  sh -c "$1"
fi

# The loop that keeps the agent ends when the host is given up, and is another one after an update.
keeper() { pid=$(cat /run/rancher-agent.pid 2>/dev/null) && kill -0 "$pid" 2>/dev/null; }
trap 'if keeper; then kill -TERM "$pid"; fi; exit 0' TERM INT
while :; do
  if keeper; then tail -n 0 --pid "$pid" -F $log 2>/dev/null & else sleep 1 & fi
  wait $!
done
