# shellcheck shell=bash
# Sourced by the shell tests: every check prints a TAP line, "ok - WHAT" or "not ok - WHAT", and scripts/check counts
# them. A failed check goes on with the next one; the file's exit status is 1 if any failed.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$HERE/build}
FILTERATLAS=${FILTERATLAS:-$BUILD/filteratlas}
TEMPORARY=$(mktemp -d "${TMPDIR:-/tmp}/filteratlas-test.XXXXXX")
# Open MPI's shared memory, which a job that is killed leaves behind; elsewhere where /dev/shm has no room, as in containers.
shm=/dev/shm
[ "$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1)" -ge 500000 ] 2>/dev/null || shm=$TEMPORARY
SHARED_MEMORY=$(mktemp -d "$shm/filteratlas-test.XXXXXX")
chmod 1777 "$SHARED_MEMORY" # for tests that run as somebody else
export OMPI_MCA_btl_vader_backing_directory=$SHARED_MEMORY OMPI_MCA_btl_sm_backing_directory=$SHARED_MEMORY
export OMPI_MCA_osc_sm_backing_directory=$SHARED_MEMORY
failed=0
cleanup() { :; } # for a test to define: what else it must undo
trap 'cleanup; rm -rf "$TEMPORARY" "$SHARED_MEMORY"; exit $failed' EXIT

# More ranks than cores are wanted here, and root may run them.
# shellcheck source=jobs/launcher.sh
. "$HERE/jobs/launcher.sh"
launcher_share

pass() { echo "ok - $1"; }
fail() { failed=1; echo "not ok - $1"; shift; printf '#   %s\n' "$@"; }

# check WHAT COMMAND...: passes if the command succeeds.
check() {
    local what=$1; shift
    if "$@" >"$TEMPORARY/check.log" 2>&1; then pass "$what"; else fail "$what" "command: $*" "$(head -c 2000 "$TEMPORARY/check.log")"; fi
}

# expect WHAT STATUS PATTERN COMMAND...: the command ends within 60 s with that exit status and one line on standard error
# that matches the extended regular expression (an empty pattern: nothing on standard error).
expect() {
    local what=$1 status=$2 pattern=$3 got lines; shift 3
    timeout 60 "$@" >"$TEMPORARY/out" 2>"$TEMPORARY/err"; got=$?
    lines=$(wc -l <"$TEMPORARY/err")
    if [ $got -ne "$status" ]; then fail "$what" "exit status $got, not $status" "$(head -c 1500 "$TEMPORARY/err")"
    elif [ -z "$pattern" ] && [ "$lines" -ne 0 ]; then fail "$what" "on standard error: $(head -c 1500 "$TEMPORARY/err")"
    elif [ -n "$pattern" ] && { [ "$lines" -ne 1 ] || ! grep -Eq -e "$pattern" "$TEMPORARY/err"; }; then
        fail "$what" "standard error is not one line matching /$pattern/:" "$(head -c 1500 "$TEMPORARY/err")"
    else pass "$what"; fi
}
