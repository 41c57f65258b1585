/**
 * The few lines of POSIX sh between the agent and the program. They run in the new process before it becomes the
 * program, so that it never runs a moment outside its cgroup, and is on record before it does anything: an agent that
 * dies in between finds it again.
 *
 * Arguments: record file, text for the record, oom_score_adj, files to write the own process id to, `--`, the program.
 */
export const launcher = `
record=$1 text=$2 oom=$3
shift 3
while [ "$1" != -- ]; do echo $$ >"$1" || :; shift; done
shift
ulimit -n 1048576 2>/dev/null || :
{ echo "$oom" >/proc/self/oom_score_adj; } 2>/dev/null || :
read -r stat </proc/$$/stat
echo "$text $stat" >"$record" || exit 126
exec "$@"
`;
