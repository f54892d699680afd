#!/usr/bin/env bash
# jobs/launcher.sh: what it tells the launchers, and how many ranks it finds room for.
# shellcheck source=tests/harness.sh disable=SC1091,SC2016,SC2154 # launch is set by launcher_...
. "$(dirname "$0")/../harness.sh"
cd "$TEMPORARY" || exit 1

# said TEXT: a launcher that answers so when it is asked for its version.
said() { printf '#!/bin/sh\nprintf %%s\\\\n "%s"\n' "$1" >mpirun && chmod +x mpirun && MPIRUN=$TEMPORARY/mpirun; }
kind() { said "$1" && [ "$(launcher_kind)" = "$2" ]; }
check "Open MPI 4 is known" kind 'mpirun (Open MPI) 4.1.4' openmpi4
check "Open MPI 5 is known" kind 'mpirun (Open MPI) 5.0.7' openmpi5
check "a later Open MPI is taken for 5" kind 'mpirun (Open MPI) 6.0.0rc1' openmpi5
check "MPICH is known" kind 'HYDRA build details:
    Version: 4.0.2' hydra
check "Intel MPI is known" kind 'Intel(R) MPI Library for Linux* OS, Version 2021.9 Build 20230307' hydra
check "another one is not" kind 'jsrun 10.3' other

# words FUNCTION ARGUMENT...: the launcher's words, but for its name.
words() { "$@" && echo "${launch[*]:1}"; }
printf '# two hosts\nnode01 slots=16\nnode02 slots=8 max_slots=8\nnode03\n' >hostfile
said 'mpirun (Open MPI) 4.1.4'
check "Open MPI: all slots of the hostfile, with variables" test "$(words launcher_on_hosts hostfile '' A B)" = \
    "--hostfile hostfile --map-by slot --bind-to core:overload-allowed -x A -x B"
said 'HYDRA build details:'
check "Hydra: the hosts in its own words, all slots" test "$(words launcher_on_hosts hostfile '' A B)" = \
    "-hosts node01:16,node02:8,node03 -n 25 -bind-to core"
check "Hydra: fewer ranks" test "$(words launcher_on_hosts hostfile 3 A)" = "-hosts node01:16,node02:8,node03 -n 3 -bind-to core"
check "Hydra: in a Slurm job" test "$(words launcher_in_slurm 4)" = "-n 4 -bind-to core"
# taken MPI: the launcher of a job whose srun speaks PMIx.
taken() { said "$1" && (PATH=$TEMPORARY:$PATH SLURM_NTASKS=4 && unset LAUNCHER && launcher_of_job && echo "$LAUNCHER"); }
printf '#!/bin/sh\necho "MPI plugin types are... pmix"\n' >srun && chmod +x srun
check "Slurm starts the ranks of an MPI that speaks PMIx" test "$(taken 'mpirun (Open MPI) 4.1.4')" = srun
check "and Hydra those of one that may not" test "$(taken 'HYDRA build details:')" = mpirun
rm srun
MPIRUN=mpirun

# The launcher that is here understands its words: three ranks, whatever this machine has.
launcher_here 3
check "three ranks start here, by ${launch[*]:1}" test "$("${launch[@]}" echo started | grep -c started)" -eq 3
launcher_here 1
"${launch[@]}" sh -c 'grep Cpus_allowed_list /proc/self/status' >bound 2>&1
if [ -z "$(launcher_quota)" ] && [ "$(nproc)" -gt 1 ]; then
    # The tests' own settings bind nothing, but words on the line come first.
    check "a rank is bound to one core" test "$(nproc)" -gt "$(tr -dc ',0-9-' <bound | awk -F- '{ print (NF > 1 ? $2 - $1 + 1 : 1) }')"
fi

# Room ------------------------------------------------------------------------------------------------------------------
# quota WANTED SELF: of the control groups below $TEMPORARY/groups.
quota() { printf '%b' "$2" >self && [ "$(launcher_quota_of groups self)" = "$1" ]; }
mkdir -p groups/job/step groups/free groups/cpu/old
echo "250000 100000" >groups/job/cpu.max
echo "max 100000" >groups/job/step/cpu.max
echo "max 100000" >groups/free/cpu.max
echo 50000 >groups/cpu/old/cpu.cfs_quota_us
echo 100000 >groups/cpu/old/cpu.cfs_period_us
check "a quota counts for the groups below, in whole processors" quota 2 '0::/job/step\n'
check "where there is none, nothing is said" quota '' '0::/free\n'
check "less than one processor is one; version 1" quota 1 '5:memory:/x\n4:cpu,cpuacct:/old\n'
echo "300000 100000" >groups/cpu.max
check "a container that is named as from outside has its top's" quota 3 '0::/elsewhere/42\n'
check "there is room for at least one rank, and no more than nproc" test "$(launcher_cores)" -ge 1 -a "$(launcher_cores)" -le "$(nproc)"
if [ "$(nproc)" -gt 1 ]; then
    check "a cpuset of one processor has room for one" test "$(taskset -c "$(taskset -cp $$ | grep -oE '[0-9]+' | tail -n 1)" \
        bash -c '. "$1/jobs/launcher.sh"; launcher_cores' cores "$HERE")" -eq 1
fi
group=/sys/fs/cgroup/cpu/filteratlas-test.$$
if [ -w /sys/fs/cgroup/cpu/cgroup.procs ] && mkdir $group 2>/dev/null; then
    echo 100000 >$group/cpu.cfs_quota_us
    check "a real quota of one processor has room for one" test "$(bash -c 'echo $$ >"$2/cgroup.procs"; . "$1/jobs/launcher.sh"; launcher_cores' \
        cores "$HERE" $group)" -eq 1
    rmdir $group
else
    pass "a real quota # SKIP needs a control group of version 1 that may be written"
fi

# The program, started by srun without PMIx ---------------------------------------------------------------------------------
expect "srun without PMIx: one line" 2 '^filteratlas: srun starts 4 processes without telling them of one another; use srun --mpi=pmix' \
    env SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=0 "$FILTERATLAS" render --weights none --out none
expect "srun without PMIx: no line of another" 2 '' env SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=3 "$FILTERATLAS" render --weights none --out none
expect "one task of srun is a job of one" 2 '^filteratlas: none: no such file' \
    env SLURM_STEP_NUM_TASKS=1 SLURM_PROCID=0 "$FILTERATLAS" render --weights none --out none
