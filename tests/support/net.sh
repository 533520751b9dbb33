# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# A wide-area link for tests and benchmarks: two network namespaces joined by the link emulator (bench/linkemu).
# To be sourced. Needs root. Nothing on this machine changes, and all of it vanishes with the shell that started it.
#
#   . tests/support/net.sh
#   trap lh_net_stop EXIT
#   lh_net_start rate=1g,delay=50ms,loss=1%
#   lh_net_b iperf3 -s -1 -D; lh_net_a iperf3 -c "$LH_NET_B"
#   lh_net_figure ab.forwarded.tcp.bytes
#
# End a, the client's: 10.99.0.1, fd99::1. End b, the server's: 10.99.0.2, fd99::2. `linkemu --help` lists SPECs.
#
# Functions:
#   lh_net_missing              prints why there can be no link here, or nothing
#   lh_net_start SPEC [ARG...]  makes the link, the same both ways; further arguments are linkemu's
#   lh_net_stop                 removes it (programs in the namespaces are not killed, but lose their network)
#   lh_net_a, lh_net_b CMD...   run a command at one end
#   lh_net_set WAY SPEC         changes the running link; WAY is ab, ba or both
#   lh_net_stats                prints the counters of the moment, as JSON
#   lh_net_figure NAME...       prints some of them, one a line: ab.drops.loss, ba.forwarded.udp.bytes
#   lh_net_tcp CC [BYTES]       TCP congestion control of both ends, and the largest buffers it may take (128 MiB)
#   lh_net_sshd                 inside `sshd.sh run`: starts its sshd at end b, and fills LH_NET_KNOWN (known_hosts)
#   lh_net_sshd_stop            stops that
#
# Settings: LH_NET_EMULATOR (build/bench/linkemu/linkemu). Set by lh_net_start: LH_NET_DIR, LH_NET_A, LH_NET_B.

LH_NET_A=10.99.0.1
LH_NET_B=10.99.0.2

lh_net_die()
{
    echo "net.sh: $*" >&2
    exit 1
}

lh_net_missing()
{
    : "${LH_NET_EMULATOR:=${LH_NET_TOP:-.}/build/bench/linkemu/linkemu}"
    if [ "$(id -u)" != 0 ]; then
        echo "needs root for network namespaces"
    elif [ ! -c /dev/net/tun ]; then
        echo "needs /dev/net/tun"
    elif ! unshare -n true 2> /dev/null; then
        echo "network namespaces are forbidden here"
    elif [ ! -x "$LH_NET_EMULATOR" ]; then
        echo "$LH_NET_EMULATOR is not built"
    fi
}

lh_net_start()
{
    _why=$(lh_net_missing)
    [ -z "$_why" ] || lh_net_die "$_why"
    : "${LH_NET_EMULATOR:=${LH_NET_TOP:-.}/build/bench/linkemu/linkemu}"
    LH_NET_DIR=$(mktemp -d "${TMPDIR:-/tmp}/longhaul-net.XXXXXX") || exit 1
    _spec=$1
    shift
    "$LH_NET_EMULATOR" --dir "$LH_NET_DIR" --both "$_spec" "$@" &
    LH_NET_PID=$!
    while [ ! -s "$LH_NET_DIR/ready" ]; do
        kill -0 "$LH_NET_PID" 2> /dev/null || lh_net_die "the link emulator does not start"
        sleep 0.02
    done
}

lh_net_stop()
{
    [ -n "${LH_NET_PID:-}" ] || return 0
    kill "$LH_NET_PID" 2> /dev/null
    wait "$LH_NET_PID" 2> /dev/null
    LH_NET_PID=
    rm -rf "$LH_NET_DIR"
}

lh_net_a()
{
    nsenter --net="$LH_NET_DIR/ns-a" -- "$@"
}

lh_net_b()
{
    nsenter --net="$LH_NET_DIR/ns-b" -- "$@"
}

lh_net_set()
{
    echo "$1 $2" > "$LH_NET_DIR/control"
    lh_net_stats > /dev/null # commands are obeyed in order: now it holds
}

lh_net_stats()
{
    _stats=$LH_NET_DIR/stats.$(date +%s%N)
    echo "stats $_stats" > "$LH_NET_DIR/control"
    while [ ! -e "$_stats" ]; do
        kill -0 "$LH_NET_PID" 2> /dev/null || lh_net_die "the link emulator is gone"
        sleep 0.01
    done
    cat "$_stats"
    rm -f "$_stats"
}

lh_net_figure()
{
    lh_net_stats | python3 -c '
import json, sys
stats = json.load(sys.stdin)
for name in sys.argv[1:]:
    value = stats
    for part in name.split("."):
        value = value[part]
    print(value)' "$@"
}

# By route, not by sysctl: other namespaces than the first may only set what the host allows to everyone.
lh_net_tcp()
{
    for _end in lh_net_a lh_net_b; do
        $_end sysctl -qw "net.ipv4.tcp_rmem=4096 131072 ${2:-134217728}" "net.ipv4.tcp_wmem=4096 65536 ${2:-134217728}" &&
            $_end ip route replace 10.99.0.0/24 dev wan0 proto kernel scope link congctl "$1" &&
            $_end ip -6 route replace fd99::/64 dev wan0 proto kernel metric 256 congctl "$1" || return 1
    done
}

lh_net_sshd()
{
    [ -n "${LH_SSHD_DIR:-}" ] || lh_net_die "lh_net_sshd works inside sshd.sh run"
    # shellcheck disable=SC2016
    LH_SSHD_ADDRESS=${1:-$LH_NET_B} nsenter --net="$LH_NET_DIR/ns-b" -- \
        sh -c '. "$LH_SSHD_TOP/tests/support/sshd.sh"; lh_sshd_start wan' || return 1
    LH_NET_KNOWN=$LH_NET_DIR/known_hosts
    for _type in $LH_SSHD_KEYS; do
        for _host in "$LH_NET_B" fd99::2; do
            printf '[%s]:%s %s\n' "$_host" "$LH_SSHD_PORT" "$(cut -d ' ' -f 1,2 "$LH_SSHD_DIR/wan/host_$_type.pub")"
        done
    done > "$LH_NET_KNOWN"
}

lh_net_sshd_stop()
{
    [ -e "$LH_SSHD_DIR/wan/pid" ] || return 0
    kill "$(cat "$LH_SSHD_DIR/wan/pid")"
    rm -f "$LH_SSHD_DIR/wan/pid"
}
