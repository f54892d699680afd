#!/usr/bin/env bash
# Whether the simulation would find a mistake in the coordinator: each mutant below is the coordinator with one, and must break a
# promise within so many seeds. A mutant whose text is no longer there is a failure, too. Prints TAP.
#
# Usage: tests/sim/mutants.sh [SEEDS]
# shellcheck source=tests/harness.sh disable=SC1091
. "$(dirname "$0")/../harness.sh"
seeds=${1:-3000}
source=$HERE/src/cluster/coordinator.c
mutant=build/tests/sim/mutant
cd "$HERE" || exit 1
mkdir -p "${mutant%/*}"

# mutant WHAT PATTERN REPLACEMENT: the first line with PATTERN (fixed text) has REPLACEMENT instead.
mutant() {
    local what=$1 pattern=$2 replacement=$3
    awk -v pattern="$pattern" -v replacement="$replacement" '
        !done && (at = index($0, pattern)) { $0 = substr($0, 1, at - 1) replacement substr($0, at + length(pattern)); done = 1 }
        { print } END { exit !done }' "$source" >"$mutant.c" || {
        check "$what: the text to change is there" false
        return
    }
    if ! make --silent "$mutant" >/dev/null; then
        fail "$what: the mutant builds"
        return
    fi
    local status=0
    timeout 120 "$mutant" --seeds "$seeds" >/dev/null 2>&1 || status=$?
    check "$what" test "$status" -ne 0
}

# Who draws and publishes what
mutant "ranks of other nodes publish" 'c->job.leader[rank] == 0' 'true'
mutant "a layer is published before its last commit" 'is_unpublished(c, l) && !c->layer[l].filters' 'is_unpublished(c, l)'
mutant "a layer is published twice" 'c->layer[l].publication = LAYER_IN_WORK' '(void)0'
mutant "tables before the layers" '|| !layers_are_complete(c)' ''
mutant "tables never" 'if (next_layer(c, rank))' 'if (c->tables != TABLES_UNPUBLISHED || next_layer(c, rank))'
mutant "units go on while the disk is behind" 'c->all_out || disk_is_behind(c)' 'c->all_out'
mutant "ranks that wait for the disk are forgotten" 'c->news = was_behind || !layer->filters' 'c->news = !layer->filters'
mutant "ranks that could publish are forgotten" 'c->news = was_behind || !layer->filters' 'c->news = was_behind'
mutant "bytes that came in are not counted" 'c->queued += event->bytes' '(void)0'
mutant "bytes that are committed are still counted" 'c->queued -= event->bytes' '(void)0'
mutant "a unit is not committed" 'act(c, ACTION_COMMIT, rank)->order.unit = peer->unit' '(void)0'

# Stopping
mutant "units are handed out while stopping" 'if (c->status || c->stopping)' 'if (c->status)'
mutant "units are handed out after a failure" 'if (c->status || c->stopping)' 'if (c->stopping)'
mutant "the deadline is not looked at" 'drawn < c->job.stop.deadline' 'true'
mutant "the first unit's time is not known" 'peer->seconds_per_cost > 0 ? peer->seconds_per_cost : peer->trial' 'peer->seconds_per_cost'
mutant "files end at the deadline" 'is_drawn(c) ? c->job.stop.limit : c->job.stop.deadline' 'c->job.stop.deadline'
mutant "units in flight are called off at the limit" 'is_drawn(c) ? c->job.stop.limit : c->job.stop.deadline' 'c->job.stop.limit'
mutant "a signal calls off at once" 'grace = stop_signal_grace(signal)' 'grace = 0'
mutant "SIGTERM has no time limit" 'grace = stop_signal_grace(signal)' 'grace = INFINITY'
mutant "a second signal changes nothing" 'if (c->signal)' 'if (false)'
mutant "the same signal again counts as a second" 'if (signal == c->signal)' 'if (false)'
mutant "files are finished after a signal" 'if (!c->files_called_off)' 'if (false)'
mutant "a stop file calls off units" 'stop(c, INFINITY, INFINITY, c->job.stop.file)' 'stop(c, 0, INFINITY, c->job.stop.file)'
mutant "ranks that measure are not called off" 'cancel(c, PEER_STARTING)' '(void)0'
mutant "a stalled disk keeps a job that is to stop" 'c->stopping && c->now >= c->give_up_at' 'false'
mutant "a failing disk is waited for" 'c->abandoned = true;' ';'
mutant "the reason is overwritten by the stop" 'if (!c->stopping && !c->status)' 'if (!c->stopping)'

# Ranks in trouble
mutant "nobody is missed" 'if (awake - peer->heard >= silence)' 'if (false)'
mutant "a rank that hangs is not missed" 'is_busy(peer) && awake - peer->moved >= silence' 'false'
mutant "waiting counts as hanging" 'is_busy(peer) && awake - peer->moved >= silence' 'awake - peer->moved >= silence'
mutant "time that was slept through counts" 'double awake = c->awake.seconds, silence' 'double awake = c->now, silence'
mutant "ranks that have ended are missed" 'if (peer->state == PEER_ENDED)' 'if (false)'
mutant "signs of life are not answered" 'order(c, rank, ORDER_HEARD)' '(void)0'
mutant "a rank that was told to stop has failed" 'if (is_asked && reason->status == STATUS_STOPPED)' 'if (false)'
mutant "the job ends before its commits are done" 'return !c->commits || c->abandoned' 'return true'
mutant "the end comes while a rank works" 'c->waiting == c->ranks && ' ''
mutant "complete without its files" 'return layers_are_complete(c) && (!c->job.tables || c->tables == TABLES_DONE)' 'return layers_are_complete(c)'
