import { portsOfHosts } from '@rancher/components';
import type { Context } from '../context.ts';
import { joiningPrograms } from './programs.ts';
import { quoted } from './shell.ts';

/**
 * What `curl … | sh` runs on a machine that is to be a host. There is nothing secret in it: the token comes as an
 * argument. It only fetches the agent and the Node that runs it, each checked against the SHA-256 that is written here;
 * everything else is the agent's own work (`agent install`, `agent uninstall`). Whoever got it trusts the server
 * already: the command names the authority that curl checks the server by, and so does every download.
 */
export async function installScript(context: Context): Promise<string> {
  const [agent, node] = await joiningPrograms(context);
  const values = {
    server: `https://${context.config.advertise}`,
    ca_sha256: context.tls.caSha256,
    arch: process.arch === 'arm64' ? 'arm64' : 'amd64',
    agent_path: agent.path,
    agent_sha256: agent.sha256,
    node_path: node.path,
    node_sha256: node.sha256,
    ports: portsOfHosts.join(','),
    ca: context.tls.caPem.trim(),
  };
  const assignments = Object.entries(values).map(([name, value]) => `${name}=${quoted(value)}`);
  return `#!/bin/sh\n${about}set -eu\n\n${assignments.join('\n')}\n${body}`;
}

const about = `# Makes this Linux machine a host of a Rancher server, or gives it back: --help says how. Run again, it updates the agent,
# and the machine stays the same host.
`;

/** All of it is functions, so that a script that was cut off on its way runs nothing. */
const body = String.raw`
usage() {
  cat <<'EOF'
Makes this Linux machine a host of a Rancher server; run again, it updates the agent, and the host stays the same.

  --token TOKEN      registration token; a machine that is a host already needs none
  --label KEY=VALUE  label of the host; can be repeated
  --address ADDRESS  where other hosts reach this one; by default the source address of the default route
  --name NAME        name of the host; by default the machine's own
  --folder FOLDER    where the agent keeps its files; by default /var/lib/rancher-agent
  --uninstall        give the host up and remove every trace of it from this machine
  --force            with --uninstall: although the server is away, or would lose the environment's data with this host
EOF
}

say() { printf '%s\n' "· $*"; }
die() { printf 'rancher: %s\n' "$*" >&2; exit 1; }

token='' folder='' uninstall='' help=''
read_arguments() {
  previous=''
  for argument; do
    case $previous in
      --token) token=$argument ;;
      --folder) folder=$argument ;;
    esac
    case $argument in
      --token=*) token=$(printf %s "$argument" | cut -d = -f 2-) ;;
      --folder=*) folder=$(printf %s "$argument" | cut -d = -f 2-) ;;
      --uninstall) uninstall=1 ;;
      --help | -h) help=1 ;;
    esac
    previous=$argument
  done
}

check_platform() {
  [ "$(uname -s)" = Linux ] || die "this system is $(uname -s): hosts are Linux machines"
  case $(uname -m) in
    x86_64) here=amd64 ;;
    aarch64 | arm64) here=arm64 ;;
    *) here=$(uname -m) ;;
  esac
  [ "$here" = "$arch" ] ||
    die "this machine is $here, and the programs of this server are for $arch: use a machine of that kind"
  [ "$(id -u)" = 0 ] || die 'not root: put sudo before the sh of the command, as in: … | sudo sh -s -- …'
  for program in curl sha256sum sed cut mktemp; do
    command -v "$program" >/dev/null 2>&1 || die "the program $program is missing: install it"
  done
}

# The credential of a host of this server, or the token. In a file, as arguments can be read by every user.
authorize() {
  printf 'header = "Authorization: Bearer %s"\n' "$1" >"$work/authorization"
}
credential() {
  sed -n 's/.*"credential": *"\([^"]*\)".*/\1/p' /var/lib/rancher-agent/credential 2>/dev/null || :
}

# Fetches a file; its status is in $status, what the server said of a refusal in $said.
request() {
  if ! status=$(curl -sS --connect-timeout 10 --cacert "$work/ca.pem" --config "$work/authorization" -o "$2" -w '%{http_code}' "$server$1" 2>"$work/error"); then
    die "$(sed 's/^curl: *//' "$work/error" | head -n 1). Is $server reachable from this machine, and is it the server that gave the command?"
  fi
  [ "$status" = 200 ] || said=$(sed -n 's/.*"detail": *"\([^"]*\)".*/\1/p' "$2")
}

is_sound() { [ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d ' ' -f 1)" = "$2" ]; }

# The one here serves when it is the same.
get() {
  name=$1 path=$2 sha256=$3
  if is_sound "$program/$name" "$sha256"; then
    ln "$program/$name" "$new/$name"
    return
  fi
  say "Fetching $name"
  if [ -n "$own" ]; then
    authorize "$own"
    request "$path" "$new/$name"
    # A host that was removed, or whose identity was replaced, may join again.
    if [ "$status" = 401 ]; then own=''; fi
  fi
  if [ -z "$own" ]; then
    [ -n "$token" ] || die "--token is missing: make a registration token, and run the command that comes with it"
    authorize "$token"
    request "$path" "$new/$name"
  fi
  [ "$status" = 200 ] || die "the server refuses: ${'$'}{said:-status $status}"
  is_sound "$new/$name" "$sha256" || die "$name is not what the server says it is (its SHA-256 differs): run this again"
  chmod 755 "$new/$name"
}

clean() {
  code=$?
  rm -rf "$work"
  [ -z "$new" ] || rm -rf "$new"
  # Where nothing was before, nothing stays of a failure; what has joined is a host, and goes on from there when run again.
  if [ "$code" != 0 ] && [ -n "$fresh" ] && [ ! -f "$folder/credential" ]; then rm -rf "$folder"; fi
}

remove() {
  [ -x /var/lib/rancher-agent/program/node ] || die 'no agent is installed here: there is nothing to remove'
  exec /var/lib/rancher-agent/program/node /var/lib/rancher-agent/program/agent.mjs uninstall "$@"
}

install() {
  work=$(mktemp -d)
  fresh='' new=''
  trap clean EXIT
  trap 'exit 130' INT TERM
  [ -n "$folder" ] || folder=$(readlink -f /var/lib/rancher-agent)
  program=$folder/program
  [ -d "$folder" ] || fresh=1
  mkdir -p "$folder" || die "$folder cannot be made"
  chmod 700 "$folder"
  new=$folder/program.new
  rm -rf "$new"
  mkdir "$new"
  printf '%s\n' "$ca" >"$work/ca.pem"
  own=$(credential)
  get agent.mjs "$agent_path" "$agent_sha256"
  get node "$node_path" "$node_sha256"
  "$new/node" --version >/dev/null 2>"$work/error" ||
    die "Node.js does not run here: $(head -n 1 "$work/error"). It needs the GNU C library 2.28 or later, and a file system without noexec"
  "$new/node" "$new/agent.mjs" install --server "$server" --ca-sha256 "$ca_sha256" --ports "$ports" --program "$new" "$@"
}

main() {
  read_arguments "$@"
  if [ -n "$help" ]; then usage; exit 0; fi
  check_platform
  if [ -n "$uninstall" ]; then remove "$@"; fi
  install "$@"
}

main "$@"
`;
