#!/usr/bin/env bash
# A cluster on this machine: the host "head" with slurmctld, and node1 to node6, two by two in partitions, with
# slurmd and sshd. Each host has a
# network, a hostname, processes, /tmp and /dev/shm of its own (Linux namespaces); they share the file system, and a bridge
# on the head joins the nodes. Everything runs below one process, the head's init: when it ends, the kernel removes
# processes, mounts and networks with it. The machine's own Slurm, munge, ssh and network are not touched.
#
# Usage: tests/cluster/cluster.sh VERB ...
#   possible               says why there can be no such cluster here (exit status 1), or nothing
#   up                     starts it and waits until all nodes are idle
#   down                   ends it and removes what it wrote
#   on HOST COMMAND...     runs a command on a host, in the current folder: cluster.sh on head sinfo
#   off NODE, boot NODE    cuts a node's power: all its processes end at once; starts it again
#   unplug NODE, plug NODE cuts a node from the network, while its processes go on; joins it again
# The variable CLUSTER names the folder of its files, default /tmp/filteratlas-cluster.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CLUSTER=${CLUSTER:-/tmp/filteratlas-cluster}
NODES=6
CPUS=4 # per node as Slurm is told, whatever this machine has

die() { echo "cluster.sh: $1" >&2; exit 1; }

# possible: prints the first reason why not.
possible() {
    local tool
    [ "$(id -u)" -eq 0 ] || { echo "needs root"; return 1; }
    for tool in ip nsenter unshare munged slurmctld slurmd sbatch sshd ssh-keygen mpirun pgrep; do
        PATH=$PATH:/usr/sbin command -v $tool >/dev/null || { echo "$tool is missing (scripts/dependencies --tests)"; return 1; }
    done
    [ -d /etc/slurm ] || { echo "/etc/slurm is missing, where this Slurm reads its configuration"; return 1; }
    unshare --net --uts --mount --ipc --pid --fork sh -c 'mount -t tmpfs none /run && ip link add name b type bridge &&
        ip link add name v0 type veth peer name v1' 2>/dev/null || { echo "no permission to make namespaces, mounts and a bridge"; return 1; }
}

write_files() {
    local PATH=$PATH:/usr/sbin
    mkdir -p "$CLUSTER"/{slurm,log,state} || return
    chmod 755 "$CLUSTER"
    dd if=/dev/urandom bs=128 count=1 of="$CLUSTER/munge.key" 2>/dev/null
    chmod 400 "$CLUSTER/munge.key"
    ssh-keygen -q -t ed25519 -N '' -f "$CLUSTER/ssh_key"
    ssh-keygen -q -t ed25519 -N '' -f "$CLUSTER/ssh_host_key"
    { printf '127.0.0.1 localhost\n10.77.0.10 head\n'; for i in $(seq $NODES); do echo "10.77.0.1$i node$i"; done; } >"$CLUSTER/hosts"
    cat >"$CLUSTER/sshd_config" <<CONF
HostKey $CLUSTER/ssh_host_key
AuthorizedKeysFile $CLUSTER/ssh_key.pub
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
CONF
    cat >"$CLUSTER/ssh_config" <<CONF
Host *
IdentityFile $CLUSTER/ssh_key
UserKnownHostsFile /dev/null
StrictHostKeyChecking no
LogLevel ERROR
CONF
    # JobRequeue=0: jobs come back only if they ask for it.
    # cred_expire is also how long a requeued job waits before it starts again (120 s by default). SlurmdTimeout is how
    # long a node may be silent before it is down and its jobs are requeued (300 s by default).
    cat >"$CLUSTER/slurm/slurm.conf" <<CONF
ClusterName=filteratlas
SlurmctldHost=head
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
StateSaveLocation=$CLUSTER/state
SlurmdSpoolDir=/run/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=$CLUSTER/log/slurmctld
SlurmdLogFile=$CLUSTER/log/slurmd.%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=5
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=0
SlurmdTimeout=10
KillWait=5
MessageTimeout=5
NodeName=node[1-$NODES] CPUs=$CPUS RealMemory=1000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=node[1-2] Default=YES
PartitionName=urgent Nodes=node[1-2] PriorityTier=2
PartitionName=pair2 Nodes=node[3-4]
PartitionName=pair3 Nodes=node[5-6]
CONF
    # From 23 on slurmd doesn't start where it can't have a control group of its own, unless it is told to do without.
    if [ "$(slurmctld -V | sed 's/[^0-9]*//; s/\..*//')" -ge 23 ]; then echo CgroupPlugin=disabled >"$CLUSTER/slurm/cgroup.conf"; fi
}

# head_pid, node_pid NODE: a host's init, as seen from here and from the head.
head_pid() { cat "$CLUSTER/head.pid" 2>/dev/null || die "there is no cluster in $CLUSTER; run: $0 up"; }
node_pid() { cat "$CLUSTER/$1.pid"; }

# on HOST COMMAND...
on() {
    local host=$1 head; shift
    head=$(head_pid)
    if [ "$host" = head ]; then nsenter -t "$head" -a --wd="$PWD" "$@"
    else nsenter -t "$head" -a nsenter -t "$(node_pid "$host")" -a --wd="$PWD" "$@"; fi
}

# boot NODE: starts its init below the head's and gives it a cable to the bridge.
boot() { nsenter -t "$(head_pid)" -a bash "$HERE/tests/cluster/host.sh" boot "$CLUSTER" "$1" "$HERE"; }

off() { on head kill -9 "$(node_pid "$1")"; }
unplug() { on head ip link set "$1" down; }
plug() { on head ip link set "$1" up; }

# idle: waits until Slurm has all nodes.
idle() {
    for _ in $(seq 300); do
        [ "$(on head sinfo -h -t idle -o %D 2>/dev/null)" = $NODES ] && return
        sleep 0.1
    done
    on head sinfo -N -l >&2
    tail -n 20 "$CLUSTER"/log/* >&2
    return 1
}

up() {
    local reason launcher node
    reason=$(possible) || die "$reason"
    [ ! -e "$CLUSTER/head.pid" ] || die "$CLUSTER: there is a cluster already; end it with: $0 down"
    write_files || exit 1
    setsid unshare --net --uts --mount --ipc --pid --fork --kill-child --mount-proc \
        bash "$HERE/tests/cluster/host.sh" init "$CLUSTER" head "$HERE" >"$CLUSTER/log/head" 2>&1 </dev/null &
    launcher=$!
    for _ in $(seq 400); do [ -e "$CLUSTER/head.ready" ] && break; sleep 0.05; done
    pgrep -P $launcher >"$CLUSTER/head.pid" || { cat "$CLUSTER"/log/* >&2; down; exit 1; }
    for node in $(seq -f node%g $NODES); do boot "$node" || { down; exit 1; }; done
    idle || { down; exit 1; }
}

down() {
    local head
    if head=$(cat "$CLUSTER/head.pid" 2>/dev/null); then
        kill -9 "$head" 2>/dev/null
        for _ in $(seq 100); do kill -0 "$head" 2>/dev/null || break; sleep 0.05; done
    fi
    rm -rf "$CLUSTER"
}

case ${1:-} in
possible | up | down | on | off | boot | unplug | plug | idle) "$@" ;;
*) sed -n '2,16s/^# \{0,1\}//p' "$0"; [ "${1:-}" = --help ] || exit 2 ;;
esac
