# shellcheck shell=bash
# Sourced by the job scripts, scripts/quickstart and the tests: how many ranks this machine has room for, and how the mpirun
# that is there wants to be told what Open MPI 4, Open MPI 5 and Hydra (MPICH, MVAPICH, Intel MPI) each say in words of
# their own. MPIRUN is the launcher, default mpirun.

# launcher_kind: openmpi4, openmpi5 (and later), hydra, or other.
launcher_kind() {
    case $("${MPIRUN:-mpirun}" --version 2>/dev/null) in
    *'(Open MPI) 1.'* | *'(Open MPI) 2.'* | *'(Open MPI) 3.'* | *'(Open MPI) 4.'*) echo openmpi4 ;;
    *'(Open MPI)'* | *PRRTE*) echo openmpi5 ;;
    *HYDRA* | *Hydra* | *'Intel(R) MPI'* | *mpich* | *MPICH*) echo hydra ;;
    *) echo other ;;
    esac
}

# launcher_here RANKS: sets `launch`, the words to start so many ranks on this machine, each on a core of its own; more
# ranks than cores run too, only slower. Where a quota limits this process, others may be on the first cores: no binding.
launcher_here() {
    local binding=core:overload-allowed
    [ -z "$(launcher_quota)" ] || binding=none
    launch=("${MPIRUN:-mpirun}" -n "$1")
    case $(launcher_kind) in
    openmpi4) launch+=(--oversubscribe --bind-to "$binding") ;;
    openmpi5) launch+=(--map-by :OVERSUBSCRIBE --bind-to "$binding") ;;
    hydra) launch+=(-bind-to "${binding%:*}") ;;
    esac
}

# launcher_in_slurm RANKS: the same on the nodes of a Slurm job, which the launcher finds in Slurm's variables. By slots, since
# Open MPI 5.0.7 told to map by cores leaves all but the first host empty.
launcher_in_slurm() {
    launch=("${MPIRUN:-mpirun}" -n "$1")
    case $(launcher_kind) in
    openmpi*) launch+=(--map-by slot --bind-to core:overload-allowed) ;;
    hydra) launch+=(-bind-to core) ;;
    esac
}

# launcher_of_job: the same for the ranks that this Slurm job asked for, and LAUNCHER, where it is not set: srun, which
# starts the ranks itself if this Slurm and the MPI that is there speak PMIx, as MPICH and its kin mostly don't; else mpirun.
# Either binds every rank to a core of its own, and ends the job when a rank is killed, out of memory say.
launcher_of_job() {
    export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
    if [ -z "${LAUNCHER:-}" ]; then
        LAUNCHER=mpirun
        [ "$(launcher_kind)" = hydra ] || ! srun --mpi=list 2>&1 | grep -qw pmix || LAUNCHER=srun
    fi
    case $LAUNCHER in
    srun)
        # Slurm's PMIx fences go along a tree or a ring of nodes. By the tree (seen in 22.05) MPI_Init returns on some
        # nodes before it is done on others, and Open MPI's TCP part breaks down over a message that comes so early.
        export SLURM_PMIX_FENCE=${SLURM_PMIX_FENCE:-ring}
        launch=(srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task=1 --cpu-bind=cores)
        ;;
    mpirun) launcher_in_slurm "$SLURM_NTASKS" ;;
    *) echo "LAUNCHER=$LAUNCHER: must be srun or mpirun" >&2; return 2 ;;
    esac
}

# launcher_on_hosts HOSTFILE RANKS VARIABLE...: the same on the hosts of a hostfile, "HOST slots=N" a line; RANKS '' is all
# slots. The variables are sent along.
launcher_on_hosts() {
    local hostfile=$1 ranks=$2 hosts; shift 2
    launch=("${MPIRUN:-mpirun}")
    case $(launcher_kind) in
    hydra) # takes HOST:N, sends all variables, and starts one rank unless it is told
        hosts=$(sed -E 's/#.*//; s/[[:space:]]+(max_slots|max-slots)=[0-9]+//; s/[[:space:]]+slots=([0-9]+)/:\1/; /^[[:space:]]*$/d' "$hostfile")
        ranks=${ranks:-$(awk -F: '{ slots += NF > 1 ? $2 : 1 } END { print slots }' <<<"$hosts")}
        launch+=(-hosts "$(paste -sd , <<<"$hosts")" -n "$ranks" -bind-to core)
        ;;
    *)
        launch+=(--hostfile "$hostfile" ${ranks:+-n "$ranks"} --map-by slot --bind-to core:overload-allowed)
        while [ $# -gt 0 ]; do launch+=(-x "$1"); shift; done
        ;;
    esac
}

# launcher_share: from now on `mpirun -n N` starts any number of ranks on this machine and binds none of them, as root too:
# for containers, where root is the usual user and the cores that mpirun counts are not those that it may use. Open MPI 5
# has other variables; its TCP part, which one machine doesn't need, complains of containers' network devices.
launcher_share() {
    case $(launcher_kind) in
    openmpi4) export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none ;;
    openmpi5) export PRTE_MCA_rmaps_default_mapping_policy=:OVERSUBSCRIBE PRTE_MCA_hwloc_default_binding_policy=none OMPI_MCA_btl=^tcp ;;
    esac
    [ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
}

# launcher_quota: whole processors in the CPU time that the control groups of this process grant it, at least 1; nothing
# where they grant all. This is how containers are limited, besides their cpuset.
launcher_quota() { launcher_quota_of /sys/fs/cgroup /proc/self/cgroup; }

# launcher_quota_of CGROUPS SELF: the same of the groups below CGROUPS that the file SELF names.
launcher_quota_of() {
    local top=$1 self=$2 kind path quota period least=
    while IFS=: read -r _ kind path; do
        case ,$kind, in
        ,,) kind='' ;; # version 2
        *,cpu,*) [ -d "$top/$kind" ] || kind=cpu ;;
        *) continue ;;
        esac
        # A container may see itself at the top, or its path from outside.
        while :; do
            if [ -n "$kind" ]; then
                read -r quota 2>/dev/null <"$top/$kind$path/cpu.cfs_quota_us" && read -r period <"$top/$kind$path/cpu.cfs_period_us" || quota=max
            else
                read -r quota period 2>/dev/null <"$top$path/cpu.max" || quota=max
            fi
            case $quota in
            max | -1 | '') ;;
            *) quota=$((quota / period)) quota=$((quota > 1 ? quota : 1))
               [ -n "$least" ] && [ "$least" -le "$quota" ] || least=$quota ;;
            esac
            [ -n "${path%/}" ] || break
            path=${path%/*}
        done
    done 2>/dev/null <"$self"
    echo "$least"
}

# launcher_cores: how many ranks this machine has room for: one per core, not per hardware thread, and no more than this
# process may use by its cpuset (which nproc knows) and by its quota.
launcher_cores() {
    local cores allowed quota
    allowed=$(nproc)
    cores=$(lscpu --parse=CORE,SOCKET 2>/dev/null | grep -v '^#' | sort -u | wc -l)
    [ "$cores" -ge 1 ] && [ "$cores" -le "$allowed" ] || cores=$allowed
    quota=$(launcher_quota)
    [ -z "$quota" ] || [ "$quota" -ge "$cores" ] || cores=$quota
    echo "$cores"
}

# launcher_program: filteratlas: FILTERATLAS, else the one that was installed with these scripts, in PATH, or in build/.
launcher_program() {
    local here
    here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
    if [ -n "${FILTERATLAS:-}" ]; then echo "$FILTERATLAS"
    elif [[ $here == */share/filteratlas/jobs ]] && [ -x "${here%/share/*}/bin/filteratlas" ]; then echo "${here%/share/*}/bin/filteratlas"
    else command -v filteratlas || echo "$PWD/build/filteratlas"; fi
}

# launcher_value OPTION ARGUMENT...: the value that is given to the option among the arguments, the last if several.
launcher_value() {
    local option=$1 value=; shift
    while [ $# -gt 0 ]; do
        case $1 in
        "$option") value=${2:-} ;;
        "$option"=*) value=${1#*=} ;;
        esac
        shift
    done
    echo "$value"
}
