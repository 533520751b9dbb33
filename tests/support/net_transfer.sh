# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# What tests of whole transfers over the emulated link share; sourced first by tests/e2e/net_*.sh. Takes the script into
# the private sshd (tests/support/sshd.sh run), skips where that or the link is impossible, and has these functions:
#   check WHAT VALUE LOW HIGH      one TAP line; the plan comes from `finish`
#   make_file NAME MIB             incompressible, in $work
#   link SPEC [ARG...]             a fresh link with sshd at its far end (replaces the one before)
#   start ARG...                   lhcp $LH_TRANSFER_OPTIONS ARG... at end a, in the background
#   grown_after COUNTER BYTES      milliseconds until a counter of the emulator has grown so much, at most 60000
#   wait_for SECONDS               its end: $status (124: it had to be stopped); output in $work/out
#   remote [ADDRESS]               user@address:home of the far side, below $home here
#   same A B                       1 when two files are the same
#   share_udp WAY                  per cent of the bytes that the emulator forwarded that way which were UDP
set -u
LH_NET_TOP=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
: "${LH_BUILD:=$LH_NET_TOP/build}" "${LH_NET_EMULATOR:=$LH_BUILD/bench/linkemu/linkemu}"
export LH_NET_TOP LH_BUILD LH_NET_EMULATOR
. "$LH_NET_TOP/tests/support/net.sh"

if [ -z "${LH_SSHD_DIR:-}" ]; then
    why=$(lh_net_missing)
    [ -n "$why" ] || [ -x "$LH_BUILD/src/cmd/lhcp" ] || why="lhcp is not built in $LH_BUILD"
    [ -n "$why" ] || unshare -mn true 2> /dev/null || why="namespaces are forbidden here"
    if [ -n "$why" ]; then
        echo "1..0 # SKIP $why"
        exit 0
    fi
    LH_SSHD_BIN=$LH_BUILD/src/cmd exec "$LH_NET_TOP/tests/support/sshd.sh" run "$0" "$@"
fi
. "$LH_SSHD_TOP/tests/support/sshd.sh"

number=0
work=$(mktemp -d "$LH_SSHD_DIR/net.XXXXXX") || exit 1
home=$LH_SSHD_HOME
XDG_STATE_HOME=$work/state
export XDG_STATE_HOME
mkdir "$XDG_STATE_HOME"
trap 'lh_net_sshd_stop; lh_net_stop' EXIT

check()
{
    number=$((number + 1))
    if awk -v value="$2" -v low="$3" -v high="$4" 'BEGIN { exit !(value != "" && value >= low && value <= high) }'; then
        echo "ok $number - $1: $2"
        return 0
    fi
    echo "not ok $number - $1: $2, expected $3 to $4"
    sed 's/^/# /' "$work/out" 2> /dev/null | tail -n 20
}

finish()
{
    echo "1..$number"
}

make_file()
{
    head -c "$(($2 << 20))" /dev/urandom > "$work/$1"
}

link()
{
    lh_net_sshd_stop
    lh_net_stop
    lh_net_start "$@"
    lh_net_sshd || exit 1
    pin=$(lh_sshd_fingerprint sha256 "${LH_SSHD_KEYS%% *}" wan)
}

start()
{
    nsenter --net="$LH_NET_DIR/ns-a" -- "$LH_BUILD/src/cmd/lhcp" -P "$LH_SSHD_PORT" -i "$LH_SSHD_KEY" \
        --check-sshfp "$pin" ${LH_TRANSFER_OPTIONS:-} "$@" > "$work/out" 2>&1 < /dev/null &
    transfer=$!
}

wait_for()
{
    _end=$(($(date +%s) + $1))
    while kill -0 "$transfer" 2> /dev/null && [ "$(date +%s)" -lt $_end ]; do sleep 0.1; done
    kill -9 "$transfer" 2> /dev/null && status=124
    wait "$transfer"
    status=$?
    [ $status -ne 137 ] || status=124
}

remote()
{
    echo "$LH_SSHD_USER@${1:-$LH_NET_B}:$home"
}

same()
{
    if cmp -s "$1" "$2"; then echo 1; else echo 0; fi
}

share_udp()
{
    lh_net_figure "$1.forwarded.udp.bytes" "$1.forwarded.bytes" |
        awk '{ n[NR] = $1 } END { printf "%.2f\n", (n[2] > 0) ? 100 * n[1] / n[2] : 0 }'
}

# Milliseconds until a counter of the emulator ($1) has grown by $2, 60000 at most.
grown_after()
{
    _from=$(date +%s%N)
    _least=$(($(lh_net_figure $1) + $2))
    while :; do
        _took=$((($(date +%s%N) - _from) / 1000000))
        [ "$(lh_net_figure $1)" -lt $_least ] && [ $_took -lt 60000 ] && kill -0 $transfer 2> /dev/null || break
        sleep 0.05
    done
    kill -0 $transfer 2> /dev/null || _took=60000 # it ended before that
    echo $_took
}
