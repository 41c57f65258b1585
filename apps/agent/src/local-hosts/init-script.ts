/**
 * The first process of a local host, in its new network, mount, UTS and IPC namespaces. It makes the host's own view of
 * the file system, then keeps the host's agent running. Positional arguments: see below; the rest are the files to write
 * the own process id to, to enter the host's cgroup.
 *
 * What the host needs of the machine (the code, node, artifacts, its own folder) is bound below /run/rancher before
 * /run, /var/lib and the others are covered, since it may lie below any of these.
 *
 * SIGTERM powers the host off: the agent stops its components in order (SIGPWR), then this ends, and with the last
 * process go the namespaces and every mount in them.
 */
export const initScript = `
set -eu
dir=$1 name=$2 app=$3 entry=$4 node=$5 artifacts=$6
shift 6
for procs; do echo $$ >"$procs"; done
echo "$name" >/proc/sys/kernel/hostname

# Mounts of other hosts' namespaces would keep those alive from in here.
umount -n --recursive --lazy /run/netns 2>/dev/null || :

run=$dir/run
mount -n -t tmpfs -o mode=755 tmpfs "$run"
mkdir -p "$run/rancher/app" "$run/rancher/artifacts" "$run/rancher/host" "$run/lock"
: >"$run/rancher/node"
bind() { mount -n --bind "$1" "$2" && mount -n -o "remount,bind,$3" "$2"; }
bind "$app" "$run/rancher/app" ro
bind "$node" "$run/rancher/node" ro
bind "$artifacts" "$run/rancher/artifacts" ro
mount -n --bind "$dir" "$run/rancher/host"
mount -n --move "$run" /run

own=/run/rancher/host
mount -n --bind "$own/var/lib" /var/lib
mount -n --bind "$own/var/log" /var/log
mount -n --bind "$own/tmp" /tmp
for file in hosts hostname resolv.conf; do
  # May be a link into /run, which is new.
  target=$(readlink -m "/etc/$file")
  [ -e "$target" ] || { mkdir -p "$(dirname "$target")" && : >"$target"; }
  mount -n --bind "$own/etc/$file" "$target"
done
# What kubelet and containerd mount is to be seen by each other, and by nobody outside.
mount -n --make-rshared /
echo 1 >/proc/sys/net/ipv4/ip_forward

agent='' stopping=''
trap 'stopping=1; [ -z "$agent" ] || kill -PWR "$agent" 2>/dev/null || :' TERM
trap '' HUP INT
cd /
# The agent is small, and there is one for each host: no heaps for threads that hardly allocate.
export MALLOC_ARENA_MAX=1 UV_THREADPOOL_SIZE=2
while [ -z "$stopping" ]; do
  /run/rancher/node --max-semi-space-size=1 "/run/rancher/app/$entry" run --config /var/lib/rancher-agent/config.json &
  agent=$!
  # A wait ends early when a signal comes.
  while kill -0 "$agent" 2>/dev/null; do wait "$agent" || :; done
  [ -n "$stopping" ] || sleep 0.2
done
`;
