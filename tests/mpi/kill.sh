#!/usr/bin/env bash
# kill -9 of one rank, of all ranks and of mpirun, at random moments of one small job that is then continued with another
# number of ranks: the files in the end are those of an undisturbed run, nothing committed is drawn again, and of the rest
# at most the units in flight.
# shellcheck source=tests/harness.sh disable=SC1091,SC2086 # numbers
. "$(dirname "$0")/../harness.sh"

KILLS=${KILLS:-20}
BATCH=2
WEIGHTS=$HERE/jobs/demo/demo_weights.h5
RECIPE=${RECIPE:-keras}
EPOCHS=180
[ "$RECIPE" = keras ] || EPOCHS=90
JOB=(--weights "$WEIGHTS" --recipe "$RECIPE" --size 64 --upscaling-steps 2 --epochs "$EPOCHS" --batch "$BATCH"
    --layers 'block[123]_*' --filters 0:16 --trace)
RANDOM=${SEED:-9}
cd "$TEMPORARY" || exit 1
export TMPDIR=$TEMPORARY # for Open MPI's session folders, which a kill leaves behind

# contents DIR: what must not depend on who drew it, when or with whom.
contents() {
    (cd "$1" && find . -name '*.png' -exec sha256sum {} + | sort -k2 && cat job.txt trace.csv && cut -d, -f1-4 losses.csv)
}
same() { contents "$1" >one && contents "$2" >other && grep -q '/filters/.*png$' one && diff one other; }

# stamps DIR: name, inode and time of every picture that a record names.
stamps() {
    local record layer index status rest
    for record in "$1"/units/*/*.txt; do
        layer=$(basename "$(dirname "$record")")
        while read -r index status rest; do
            [ "$status" != live ] || stat -c '%n %i %y' "$1/filters/$layer/$(printf %04d "$index").png"
        done <"$record"
    done 2>/dev/null | sort
}

# unrecorded: the pictures that came in since the job started and that no record names: drawn in vain. The records are read
# last, since ranks without mpirun live on for a moment.
unrecorded() {
    find atlas/filters -newer started \( -name '*.png' -o -name '.*.png.part' \) 2>/dev/null |
        sed -E 's,/\.([0-9]+\.png)\.part$,/\1,' | sort -u >found
    stamps atlas | cut -d' ' -f1 | comm -23 found - | wc -l
}

# finish: compares an atlas that is complete with the undisturbed one, and what was committed with what is there now.
finish() {
    finished=$((finished + 1))
    same atlas reference || different=$((different + 1))
    stamps atlas >final
    again=$((again + $(sort -u committed | comm -23 - final | wc -l)))
    leftover=$((leftover + $(find atlas -name '*.lock' -o -name '*.png.part' | wc -l)))
    rm -rf atlas
    : >committed
}

start() { # RANKS
    mpirun -n "$1" "$FILTERATLAS" render --out atlas -q "${JOB[@]}" >out 2>err </dev/null &
    launcher=$!
}

# ended: waits for the job, at most 60 s; its status, 124 if it hangs, 125 if mpirun hangs whose ranks are all dead.
ended() {
    local ranks_left
    for _ in $(seq 600); do kill -0 "$launcher" || { wait "$launcher"; return; }; sleep 0.1; done 2>/dev/null
    ranks_left=$(pgrep -P "$launcher" -r D,I,R,S,T filteratlas)
    kill -9 "$launcher" $ranks_left
    [ -n "$ranks_left" ] && return 124
    return 125 # Open MPI 4.1's mpirun waits for ever, now and then, when all its ranks die at once
}

# strike KIND: the kill itself, of what is there by now.
strike() {
    local victims
    mapfile -t victims < <(pgrep -P "$launcher" filteratlas)
    case $1 in
    one) [ ${#victims[@]} -eq 0 ] || victims=("${victims[RANDOM % ${#victims[@]}]}") ;;
    mpirun) victims=("$launcher") ;;
    esac
    kill -9 "${victims[@]}"
}

check "an undisturbed render alone" timeout 100 "$FILTERATLAS" render --out reference -q "${JOB[@]}"
kinds=(one all mpirun)
declare -A done_of=([one]=0 [all]=0 [mpirun]=0)
allowed=0 hangs=0 launchers=0 refused=0 in_a_row=0 damaged=0 vain=0 too_many=0 finished=0 different=0 again=0 leftover=0
: >committed
for ((kills = 0; kills < KILLS && in_a_row < 5; )); do
    ranks=$((1 + RANDOM % 5)) kind=${kinds[kills % 3]}
    : >started
    start $ranks
    sleep "$(printf '%d.%03d' $((RANDOM % 5 / 4)) $((300 + RANDOM % 700)))"
    strike "$kind" 2>/dev/null
    ended 2>/dev/null; status=$?
    if [ $status -eq 0 ]; then finish >>differences; continue; fi # drawn before the kill came: the next one anew
    case $status in 124) hangs=$((hangs + 1)) ;; 125) launchers=$((launchers + 1)) ;; esac
    stamps atlas >>committed
    # After mpirun is killed its ranks live on for a moment, which the next job waits for; another try must get through.
    if [ $status -eq 1 ] && grep -q 'is being written by' err; then
        refused=$((refused + 1)) in_a_row=$((in_a_row + 1))
        continue
    fi
    in_a_row=0
    ! grep -q damaged err || damaged=$((damaged + 1))
    count=$(unrecorded)
    [ "$count" -le $((ranks * BATCH)) ] || too_many=$((too_many + 1))
    kills=$((kills + 1)) vain=$((vain + count)) allowed=$((allowed + ranks * BATCH))
    done_of[$kind]=$((done_of[$kind] + 1))
done
check "$kills kills: ${done_of[one]} of one rank, ${done_of[all]} of all ranks, ${done_of[mpirun]} of mpirun" \
    test "$kills" -eq "$KILLS"
check "no job hangs (mpirun alone, all its ranks dead: $launchers)" test $hangs -eq 0
check "no job is kept from starting for long ($refused refused)" test "$in_a_row" -lt 5
for _ in 1 2 3; do
    start $((1 + RANDOM % 5))
    ended 2>/dev/null; status=$?
    [ $status -eq 1 ] || break
done
check "the last run completes" test "$status" -eq 0
pictures=$(sort -u committed | wc -l)
finish >>differences
check "$finished atlas(es): the same pictures, mosaics, losses and trace as undisturbed" test $different -eq 0
check "nothing damaged was found on the way" test $damaged -eq 0
check "the $pictures pictures committed before a kill are never drawn again" test $again -eq 0
check "$vain filters came in in vain, of $allowed in flight; never more than a kill may cost" test $too_many -eq 0
check "no lock and no unfinished picture is left" test $leftover -eq 0
