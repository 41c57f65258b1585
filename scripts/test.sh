#!/bin/sh
# All tests, from nothing: what the tests need is installed and built here, then each stage runs, and the last line adds
# them up as "N passed, N failed". Arguments choose stages (check unit e2e); none = all of them.
set -u
cd "$(dirname "$0")/.." || exit 1
PATH="$PWD/node_modules/.bin:$PATH"
stages=${*:-check unit e2e}
results=$(mktemp -d)
passed=0
failed=0

# What only tests need: an image for pods, a Redis, a client in another language, a firewall of the machine's own.
test_packages="busybox-static redis-server curl procps python3-venv iputils-ping iptables"
missing=""
for package in $test_packages; do
  dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ]; then
  echo "test: installing$missing"
  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing) \
    >"$results/apt.log" 2>&1 || { cat "$results/apt.log"; echo "0 passed, 1 failed"; exit 1; }
fi

# One counted step: a name and a command.
step() {
  name=$1
  shift
  echo "== $name"
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "!! $name failed"
  fi
}

# A vitest run: counted by its tests.
suite() {
  name=$1
  shift
  echo "== $name"
  vitest run --reporter=default --reporter=json --outputFile="$results/$name.json" "$@"
  code=$?
  counts=$(node -e '
    const r = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
    const broken = r.testResults.filter((f) => f.status === "failed" && f.assertionResults.every((a) => a.status !== "failed"));
    console.log(r.numPassedTests, r.numFailedTests + broken.length);
  ' "$results/$name.json" 2>/dev/null || echo "0 1")
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
  # A run that fails without a failed test (an error outside of tests) is a failure too.
  if [ "$code" -ne 0 ] && [ "${counts#* }" = 0 ]; then failed=$((failed + 1)); fi
}

# Both Kubernetes versions, as the second environment of a test is of the other one, and what only tests run. Made once,
# before what runs them.
artifacts() {
  [ -z "${have_artifacts:-}" ] || return 0
  have_artifacts=1
  step artifacts ./rancher artifacts fetch 1.37.2 1.36.3
  step 'artifacts of tests' node --disable-warning=ExperimentalWarning scripts/test-artifacts.ts
}

for stage in $stages; do
  case $stage in
    check)
      step lint npm run --silent lint
      step types npm run --silent types
      step boundaries npm run --silent boundaries
      step deadcode npm run --silent deadcode
      ;;
    unit)
      artifacts
      suite unit
      ;;
    e2e)
      artifacts
      suite e2e --config vitest.e2e.config.ts
      ;;
    *) echo "test: no such stage: $stage (check, unit, e2e)" >&2; exit 2 ;;
  esac
done

rm -rf "$results"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
