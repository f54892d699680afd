#!/usr/bin/env bash
# The job scripts on a cluster of two nodes (cluster.sh): mpirun with a hostfile, Slurm with srun and with mpirun, limits,
# signals, preemption, errors, lost nodes, job arrays. Whatever happens on the way, the atlas is the same bytes as one rank draws
# undisturbed. Usage: tests/cluster/test.sh [NAME...] runs the tests of these names; without, all.
# shellcheck source=tests/harness.sh disable=SC1091,SC2015,SC2016,SC2054 # awk's $2; commas in --layers
. "$(dirname "$0")/../harness.sh"
cd "$HERE" || exit 1
export CLUSTER=$TEMPORARY
cluster() { bash "$HERE/tests/cluster/cluster.sh" "$@"; }
reason=$(cluster possible) || { echo "ok - cluster # SKIP $reason"; exit; }
# What the cluster could leave behind on this machine.
traces() {
    ip -o link | cut -d: -f2
    grep -F "$CLUSTER" /proc/mounts
    env -u CLUSTER grep -lsazx "CLUSTER=$CLUSTER" /proc/[0-9]*/environ
    ls -d /run/munge /run/sshd
} >"$1" 2>/dev/null
traces "$CLUSTER.before"
finish() {
    cluster down
    TEMPORARY=$CLUSTER.after
    mkdir "$TEMPORARY"
    check "down removes the cluster's folder" test ! -e "$CLUSTER"
    traces "$TEMPORARY/traces"
    check "down leaves no process, mount or network behind" diff "$CLUSTER.before" "$TEMPORARY/traces"
    rm -rf "$CLUSTER.before" "$CLUSTER.after" "$SHARED_MEMORY"
    exit $failed
}
trap finish EXIT
trap 'exit 1' INT TERM
cluster up || { fail "the cluster starts"; exit; }
on() { cluster on "$@"; }

SHARED=$CLUSTER/shared # a folder that all hosts see
mkdir "$SHARED"
unset LAUNCHER RANKS LAYERS TMPDIR "${!SLURM_@}" "${!SBATCH_@}" # should this run in a Slurm job itself
# Every host has a /dev/shm of its own, and hosts speak TCP.
unset OMPI_MCA_btl_vader_backing_directory OMPI_MCA_btl_sm_backing_directory OMPI_MCA_osc_sm_backing_directory OMPI_MCA_btl
export FILTERATLAS WEIGHTS=$SHARED/weights.h5
cp jobs/demo/demo_weights.h5 "$WEIGHTS"
QUICK=(--size 64 --upscaling-steps 2 --epochs 3 --filters 0:4)                                        # 13 units, 1 s
JOB=(--size 64 --upscaling-steps 2 --epochs 200 --batch 2 --layers block2_conv2,block3_conv1 --filters 0:32) # 32 units, 10 s

contents() { (cd "$1" && find . -name '*.png' -exec sha256sum {} + | sort -k2 && cat job.txt && cut -d, -f1-4 losses.csv); }
same() { contents "$1" >"$TEMPORARY/one" && contents "$2" >"$TEMPORARY/other" && grep -q '/filters/.*png$' "$TEMPORARY/one" && diff "$TEMPORARY/one" "$TEMPORARY/other"; }
records() { find "$1/units" -name '*.txt' ! -name '.*' 2>/dev/null | wc -l; }

# until_true SECONDS COMMAND...: polls.
until_true() {
    local end=$(($(date +%s) + $1)); shift
    until "$@" 2>/dev/null; do [ "$(date +%s)" -lt $end ] || return 1; sleep 0.1; done
}

# submit NAME SBATCH_OPTION... -- SCRIPT RENDER_OPTION...: sets $job; the atlas is $SHARED/NAME, the log $SHARED/NAME.log.
submit() {
    local name=$1 options=(); shift
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    job=$(OUT=$SHARED/$name on head sbatch --parsable --output="$SHARED/$name.log" --time=5 "${options[@]}" "${@:2}")
}

field() { on head scontrol -o show job "$1" | grep -o " $2=[^ ]*" | cut -d= -f2; }
state_is() { [ "$(field "$1" JobState)" = "$2" ]; }
over() { [[ $(field "$1" JobState) =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)$ ]]; }
working() { [ "$(records "$SHARED/$1")" -gt "${2:-0}" ]; }
restarted() { [ "$(field "$1" Restarts)" -ge "$2" ]; }
said() { grep -Eq "$2" "$SHARED/$1.log" || { cat "$SHARED/$1.log"; false; }; }

# explain NAME JOB: what the job's log and Slurm's say.
explain() { { tail -n 25 "$SHARED/$1.log"; grep -h "JobId=$2 " "$CLUSTER/log/slurmctld"; field "$2" JobState; } | sed 's/^/#   /'; }

# complete NAME JOB REFERENCE: the job ends well, with the same bytes.
complete() {
    until_true 180 over "$2"
    check "$1: the job completes" state_is "$2" COMPLETED
    check "$1: the same bytes as one rank undisturbed" same "$SHARED/$1" "$SHARED/$3"
    state_is "$2" COMPLETED || explain "$1" "$2"
}

# Without Slurm ---------------------------------------------------------------------------------------------------------
usage() { ! env -u WEIGHTS bash "$1" >"$TEMPORARY/usage" 2>&1 && grep -q 'usage: WEIGHTS=FILE OUT=DIR' "$TEMPORARY/usage"; }

alone() {
    local script
    for script in jobs/local.sh jobs/mpirun.sh jobs/atlas.sbatch jobs/layers.sbatch; do
        check "alone: $script without WEIGHTS says how to use it" usage $script
    done
    check "alone: local.sh succeeds" env OUT="$SHARED/alone" bash tests/cluster/cluster.sh on head jobs/local.sh "${QUICK[@]}"
    check "alone: the same bytes as one rank" same "$SHARED/alone" "$SHARED/quick"
}

# OpenBLAS's kernels for old processors, which round otherwise: whoever asks for them gets them on all hosts.
hostfile() {
    local kernels=OPENBLAS_CORETYPE=Nehalem
    env $kernels "$FILTERATLAS" render --weights "$WEIGHTS" --out "$SHARED/nehalem" -q "${QUICK[@]}"
    sed 's/^node0\([12]\) slots=16/node\1 slots=2/' hostfile.example >"$SHARED/hostfile"
    on node1 cp "$WEIGHTS" /tmp/weights.h5
    check "hostfile: mpirun.sh succeeds" env $kernels WEIGHTS=/tmp/weights.h5 OUT=/tmp/atlas HOSTFILE="$SHARED/hostfile" \
        OMPI_MCA_plm_rsh_agent="ssh -F $CLUSTER/ssh_config" PRTE_MCA_plm_ssh_agent="ssh -F $CLUSTER/ssh_config" bash tests/cluster/cluster.sh on node1 jobs/mpirun.sh "${QUICK[@]}"
    cp "$TEMPORARY/check.log" "$SHARED/hostfile.log"
    check "hostfile: both hosts of hostfile.example draw" said hostfile '^4 ranks on 2 hosts .node1 first'

    check "hostfile: weights and atlas are on the first host alone" \
        on node2 bash -c '! ls /tmp/weights.h5 2>/dev/null && ! ls /tmp/atlas 2>/dev/null'
    on node1 cp -r /tmp/atlas "$SHARED/hostfile.atlas"
    check "hostfile: the same bytes as one rank" same "$SHARED/hostfile.atlas" "$SHARED/nehalem"
}

# Slurm -----------------------------------------------------------------------------------------------------------------
srun() {
    submit srun --ntasks=4 --nodes=2 -- jobs/atlas.sbatch "${QUICK[@]}"
    complete srun "$job" quick
    check "srun: both nodes draw" said srun '^4 ranks on 2 hosts'
    check "srun: is taken where it speaks PMIx" said srun 'with srun,'
}

# This Slurm without its PMIx plugins.
mpirun() {
    local node plugin
    for node in node1 node2; do
        for plugin in /usr/lib/*/slurm*/mpi_pmix*.so; do on $node mount --bind /dev/null "$plugin"; done
    done
    submit mpirun --ntasks=4 --nodes=2 -- jobs/atlas.sbatch "${QUICK[@]}"
    complete mpirun "$job" quick
    check "mpirun: both nodes draw" said mpirun '^4 ranks on 2 hosts'
    check "mpirun: is taken where srun speaks no PMIx" said mpirun 'with mpirun,'
    for node in node1 node2; do
        for plugin in /usr/lib/*/slurm*/mpi_pmix*.so; do on $node umount "$plugin"; done
    done
}

demo() {
    submit demo --ntasks=4 -- jobs/demo.sbatch "${QUICK[@]}"
    complete demo "$job" fourier
}

# What sites do otherwise: no variable of the submitter reaches the job; the scripts are installed; srun speaks no PMIx.
sites() {
    local place="$SHARED/a place" blas=("${!OPENBLAS_@}")
    # Nor do OpenBLAS's, which decide how it rounds.
    env "${blas[@]/#/-u}" "$FILTERATLAS" render --weights "$WEIGHTS" --out "$SHARED/plain" -q "${QUICK[@]}"
    job=$(env -u WEIGHTS bash tests/cluster/cluster.sh on head sbatch --parsable --export=NONE --output="$SHARED/none.log" --time=5 \
        --ntasks=2 jobs/atlas.sbatch --weights="$WEIGHTS" --out "$SHARED/none" "${QUICK[@]}")
    complete none "$job" plain
    make -s BUILD="$BUILD" PREFIX="$place" install >/dev/null
    job=$(on head env -u FILTERATLAS OUT="$SHARED/installed" sbatch --parsable --output="$SHARED/installed.log" --time=5 --ntasks=2 \
        --chdir="$SHARED" "$place/share/filteratlas/jobs/atlas.sbatch" "${QUICK[@]}")
    complete installed "$job" quick
    on head sbatch -Q --wait --ntasks=3 --output="$SHARED/strangers.log" --wrap \
        "srun --mpi=none $FILTERATLAS render --weights $WEIGHTS --out $SHARED/strangers"
    check "sites: srun without PMIx: one line of all ranks" test "$(grep -c '^filteratlas: srun starts 3 processes' "$SHARED/strangers.log")" -eq 1
    check "sites: srun without PMIx: nothing is drawn" test ! -e "$SHARED/strangers"
}

# rank_on NODE NAME: the process of the job's first rank on that node, by the node's own count.
rank_on() { on "$1" pgrep -o -f "^$FILTERATLAS render .*--out $SHARED/$2 "; }

# freeze NAME NODE, thaw: stops the job's rank 0 as soon as it has committed something, and lets it go on. So a job lasts
# as long as a test wants, and costs nothing meanwhile.
freeze() {
    check "$1: the job gets on" until_true 30 working "$1"
    frozen_node=$2
    frozen=$(rank_on "$2" "$1")
    on "$2" kill -STOP "$frozen"
}
thaw() { on "$frozen_node" kill -CONT "$frozen"; }
pending_usr1() { (($(on "$frozen_node" awk '/^ShdPnd:/ { print "0x" $2 }' "/proc/$frozen/status") & 0x200)); }

# Slurm sends SIGUSR1 between 10 and 40 s after the start of this job.
limit() {
    submit limit --ntasks=1 --nodelist=node2 --time=1 --signal=B:USR1@20 --export=ALL,LAUNCHER=mpirun -- jobs/atlas.sbatch "${JOB[@]}"
    freeze limit node2
    check "limit: SIGUSR1 comes through mpirun ahead of the limit" until_true 50 pending_usr1
    thaw
    check "limit: the job requeues itself" until_true 20 restarted "$job" 1
    complete limit "$job" job
    check "limit: one line says why it stopped" said limit '^filteratlas: SIGUSR1: stopped'
}

# The job's end is set to 12 s from now before render asks for it.
auto() {
    submit auto --ntasks=2 --nodes=2 --time=1 --signal=B:URG@1 -- tests/cluster/late.sbatch jobs/atlas.sbatch "${JOB[@]}"
    until_true 10 state_is "$job" RUNNING
    on head scontrol update JobId="$job" EndTime="$(date -d '+12 seconds' +%FT%T)"
    freeze auto node1
    sleep 8
    thaw
    check "auto: the job requeues itself" until_true 30 restarted "$job" 1
    complete auto "$job" job
    check "auto: one line says why it stopped" said auto '^filteratlas: time limit: stopped'
}

# SIGUSR1 to the ranks and, as mpirun needs it, to the script.
usr1() {
    submit usr1 --ntasks=4 --nodes=2 -- jobs/atlas.sbatch "${JOB[@]}"
    until_true 30 working usr1
    on head scancel --signal=USR1 "$job"
    check "usr1: scancel --signal=USR1: the job requeues itself" until_true 20 restarted "$job" 1
    until_true 30 working usr1 "$(records "$SHARED/usr1")"
    on head scancel --batch --signal=USR1 "$job"
    check "usr1: scancel --batch --signal=USR1: the job requeues itself" until_true 20 restarted "$job" 2
    complete usr1 "$job" job
}

# A job of more weight takes the node.
preempted() {
    submit preempted --ntasks=4 --nodelist=node1 -- jobs/atlas.sbatch "${JOB[@]}"
    until_true 30 working preempted
    on head sbatch -Q --partition=urgent --nodelist=node1 --exclusive --output=/dev/null --wrap 'sleep 3'
    check "preempted: Slurm requeues the job" until_true 20 restarted "$job" 1
    complete preempted "$job" job
}

seen() { (cd "$1" && find examples examples.csv -type f ! -name '.*' -exec sha256sum {} + | sort -k2); }
same_examples() { diff <(seen "$SHARED/$1") <(seen "$SHARED/looked") && grep -q '^block5_conv3,' "$SHARED/$1/examples.csv"; }

# The images that excite every filter most: over both nodes, and with a stop on the way.
examples() {
    local small=(--short 144 --crop 128 --top 2 --layers 'block5_conv[13]')
    export IMAGES=$SHARED/photos
    "$BUILD/tests/make_images" "$IMAGES" 200
    check "examples: one rank looks at all images undisturbed" "$FILTERATLAS" examples --weights "$WEIGHTS" --images "$IMAGES" --out "$SHARED/looked" -q "${small[@]}"
    submit examples --ntasks=4 --nodes=2 -- jobs/examples.sbatch "${small[@]}"
    check "examples: the first images are looked at" until_true 30 test -e "$SHARED/examples/examples/state.txt"
    on head scancel --batch --signal=USR1 "$job"
    check "examples: SIGUSR1: the job requeues itself" until_true 20 restarted "$job" 1
    until_true 60 over "$job"
    check "examples: the job completes" state_is "$job" COMPLETED
    check "examples: one line says why it stopped" said examples '^filteratlas: SIGUSR1: stopped'
    check "examples: the same files as of one rank" same_examples examples
    state_is "$job" COMPLETED || explain examples "$job"
    submit examples --ntasks=2 -- jobs/examples.sbatch "${small[@]}"
    until_true 30 over "$job"
    check "examples: the same command again finds all done" state_is "$job" COMPLETED
    check "examples: and changes nothing" same_examples examples
}

ends() {
    submit wrong --ntasks=2 -- jobs/atlas.sbatch "${QUICK[@]}" --layers block9_conv9
    until_true 20 over "$job"
    check "ends: a mistake ends the job with the program's exit status" test "$(field "$job" JobState) $(field "$job" ExitCode)" = "FAILED 2:0"
    check "ends: one line says what is wrong" test "$(grep -c '^filteratlas:' "$SHARED/wrong.log")" -eq 1
    # A limit too short for one unit, as seen after ten goes.
    submit stalled --ntasks=1 --export=ALL,SLURM_RESTART_COUNT=10 -- jobs/atlas.sbatch "${JOB[@]}" --epochs 9999 --time-limit 0:01
    until_true 30 over "$job"
    check "ends: a job that gets nowhere is not requeued for ever" test "$(field "$job" JobState) $(field "$job" ExitCode)" = "FAILED 75:0"
    submit cancelled --ntasks=4 --nodes=2 -- jobs/atlas.sbatch "${JOB[@]}"
    until_true 30 working cancelled
    on head scancel "$job"
    sleep 3
    check "ends: scancel ends the job for good" test "$(field "$job" JobState) $(field "$job" Restarts)" = "CANCELLED 0"
    submit cancelled --ntasks=4 --nodes=2 -- jobs/atlas.sbatch "${JOB[@]}"
    until_true 30 working cancelled "$(records "$SHARED/cancelled")"
    on node2 kill -9 "$(rank_on node2 cancelled)"
    until_true 20 over "$job"
    check "ends: a rank that is killed ends the job, which is not requeued" test "$(field "$job" JobState) $(field "$job" Restarts)" = "FAILED 0"
    submit cancelled --ntasks=4 --nodes=2 -- jobs/atlas.sbatch "${JOB[@]}"
    complete cancelled "$job" job
}

# The tasks leave room for the stitch job beside them: it must wait all the same.
array() {
    local stitch said
    said=$(cd "$SHARED" && OUT=$SHARED/array RANKS=2 LAYERS="block2_conv2 block4_conv1 block5_conv3" SBATCH_TIMELIMIT=5 \
        on head "$HERE/jobs/layers.sbatch" --size 64 --upscaling-steps 2 --epochs 3 --filters 0:4)
    echo "# $said"
    stitch=$(grep -o 'job [0-9]* stitches' <<<"$said" | tr -dc 0-9)
    job=$(grep -o 'array job [0-9]*' <<<"$said" | tr -dc 0-9)
    until_true 60 over "$stitch"
    check "array: all tasks and the stitch job complete" test "$(for j in "$job" "$stitch"; do field "$j" JobState; done | sort | uniq -c | xargs)" = "4 COMPLETED"
    check "array: stitched after the last task" test ! "$(field "$stitch" StartTime)" \< "$(field "$job" EndTime | sort | tail -n 1)"
    check "array: the same bytes as one rank, all layers at once" same "$SHARED/array" "$SHARED/layers"
    cat "$SHARED"/filteratlas-*.out >"$SHARED/array.log"
    check "array: the stitch job made all mosaics" test "$(tail -q -n 4 "$SHARED/filteratlas-$stitch.out" | grep -c '^block')" -eq 3
}

# Lost nodes ------------------------------------------------------------------------------------------------------------
# lose NAME PARTITION COMMAND...: loses one of the partition's two nodes by that command while the job draws on both.
lose() {
    local name=$1
    submit "$name" --partition="$2" --ntasks=4 --nodes=1-2 --spread-job -- jobs/atlas.sbatch "${JOB[@]}"
    check "$name: the job gets on" until_true 60 working "$name"
    "${@:3}"
    check "$name: Slurm requeues the job" until_true 90 restarted "$job" 1
    complete "$name" "$job" job
    check "$name: it began with two nodes" said "$name" '^4 ranks on 2 hosts'
    check "$name: it went on with the other" said "$name" '^4 ranks on 1 host '
}

# The node of rank 0, and of the job script, loses its power.
power() { lose power pair2 cluster off node3; }

# The other node loses its cable: its ranks go on, but nobody hears them.
cable() { lose cable pair3 cluster unplug node6; }

reference() { "$FILTERATLAS" render --weights "$WEIGHTS" --out "$SHARED/$1" -q "${@:2}"; }
check "one rank draws the quick job undisturbed" reference quick "${QUICK[@]}"
check "one rank draws the demo job undisturbed, by the Fourier recipe" reference fourier --recipe fourier --rate 0.1 "${QUICK[@]}"
check "one rank draws the layers' job undisturbed" reference layers "${QUICK[@]}" --layers block2_conv2,block4_conv1,block5_conv3
check "one rank draws the longer job undisturbed" reference job "${JOB[@]}"

# Runs a test with a scratch folder of its own; its status says whether it failed.
run() {
    local began=$SECONDS
    TEMPORARY=$CLUSTER/$1 failed=0
    mkdir "$TEMPORARY"
    "$1"
    echo "# $1: $((SECONDS - began)) s"
    return $failed
}

# Those that mostly wait run in the background, on nodes of their own.
waiting=()
[ $# -gt 0 ] || set -- power cable limit alone hostfile srun mpirun demo sites auto usr1 preempted examples ends array
for test in "$@"; do
    case $test in
    power | cable | limit)
        (run "$test") >"$CLUSTER/$test.tap" 2>&1 &
        waiting+=("$test" $!)
        ;;
    *) (run "$test") || failed=1 ;;
    esac
done
set -- "${waiting[@]}"
for (( ; $#; )); do
    wait "$2" || failed=1
    cat "$CLUSTER/$1.tap"
    shift 2
done
