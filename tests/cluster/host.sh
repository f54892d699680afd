#!/usr/bin/env bash
# What runs inside a host of the cluster; only cluster.sh calls it.
#
#   host.sh init CLUSTER HOST TREE    the host's first process, in fresh namespaces
#   host.sh boot CLUSTER NODE TREE    on the head: starts a node and connects it
set -eu
verb=$1 CLUSTER=$2 host=$3 TREE=$4

# A /tmp of its own, in which the cluster's folder and the source tree stay visible where they are.
private_folders() {
    exec 8<"$CLUSTER" 9<"$TREE"
    mount -t tmpfs tmpfs /tmp
    mkdir -p "$CLUSTER" "$TREE"
    mount --no-canonicalize --bind /proc/self/fd/8 "$CLUSTER"
    mount --no-canonicalize --bind /proc/self/fd/9 "$TREE"
    exec 8<&- 9<&-
    mount -t tmpfs tmpfs /dev/shm
    mount -t tmpfs tmpfs /run
    mkdir -p /run/munge /run/sshd /run/slurmd
    [ -e /etc/hosts ] || : >/etc/hosts # the smallest systems have none
    mount --bind "$CLUSTER/hosts" /etc/hosts
    mount --bind "$CLUSTER/slurm" /etc/slurm
}

start_munge() {
    munged --force --key-file "$CLUSTER/munge.key" --log-file "$CLUSTER/log/munged.$host" --seed-file /run/munge/seed \
        --pid-file /run/munge/pid
}

init() {
    hostname "$host"
    private_folders
    ip link set lo up
    start_munge
    if [ "$host" = head ]; then
        ip link add name bridge type bridge
        ip address add 10.77.0.10/24 dev bridge
        ip link set bridge up
        slurmctld
    else
        while ! ip link set eth0 up 2>/dev/null; do sleep 0.05; done # the head brings the cable
        ip address add "10.77.0.1${host#node}/24" dev eth0
        /usr/sbin/sshd -f "$CLUSTER/sshd_config"
        slurmd
    fi
    touch "$CLUSTER/$host.ready"
    trap : CHLD
    while :; do sleep 1000000 & wait; done # bash reaps what becomes its child
}

boot() {
    rm -f "$CLUSTER/$host.ready"
    ip link delete "$host" 2>/dev/null || true
    setsid unshare --net --uts --mount --ipc --pid --fork --kill-child --mount-proc \
        bash "$0" init "$CLUSTER" "$host" "$TREE" >"$CLUSTER/log/$host" 2>&1 </dev/null &
    local launcher=$!
    while ! pgrep -P $launcher >"$CLUSTER/$host.pid"; do kill -0 $launcher; sleep 0.05; done
    ip link add name "$host" type veth peer name eth0 netns "$(cat "$CLUSTER/$host.pid")"
    ip link set "$host" master bridge up
    for _ in $(seq 400); do [ ! -e "$CLUSTER/$host.ready" ] || return 0; sleep 0.05; done
    cat "$CLUSTER/log/$host" >&2
    return 1
}

export PATH=$PATH:/usr/sbin:/sbin
"$verb"
