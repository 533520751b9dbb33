#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `lhctl session` over a real link: a transfer shares it with a CUBIC flow of the kernel's, is told to be `low` and gives
# way, is given a minimum and keeps it (one that the client allows, since lhctl may have reached the server's side), and
# takes the link again when the other has gone. Shares only, with wide bounds: the figures are the simulator's.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
XDG_RUNTIME_DIR=$work/run
export XDG_RUNTIME_DIR
mkdir -m 700 "$XDG_RUNTIME_DIR"

cubic='
import socket, sys
if sys.argv[1] == "to":
    sock = socket.create_connection((sys.argv[2], 5001))
    while True:
        sock.sendall(bytes(65536))
listener = socket.create_server((sys.argv[2], 5001))
sock, _ = listener.accept()
while sock.recv(65536):
    pass
'

# Per cent of the link (100 Mbit/s) that UDP and TCP fill in so many seconds, as $udp and $tcp.
measure()
{
    _udp=$(lh_net_figure ab.forwarded.udp.bytes)
    _tcp=$(lh_net_figure ab.forwarded.tcp.bytes)
    _from=$(date +%s%N)
    sleep "$1"
    udp=$(lh_net_figure ab.forwarded.udp.bytes)
    tcp=$(lh_net_figure ab.forwarded.tcp.bytes)
    _ms=$((($(date +%s%N) - _from) / 1000000))
    udp=$(((udp - _udp) * 8 / _ms / 1000))
    tcp=$(((tcp - _tcp) * 8 / _ms / 1000))
}

tell()
{
    "$LH_BUILD/src/cmd/lhctl" session $id "$@" > "$work/told" || cat "$work/told"
}

link rate=100m,delay=15ms,queue=375k
lh_net_tcp cubic
lh_net_b python3 -c "$cubic" at "$LH_NET_B" &
start -m 40m 'faux:///f?20g' "$LH_SSHD_USER@$LH_NET_B:faux://"
sleep 3
id=$("$LH_BUILD/src/cmd/lhctl" sessions --json | sed -n '/"client"/s/.*"id": *"\([0-9a-f]*\)".*/\1/p')
nsenter --net="$LH_NET_DIR/ns-a" -- python3 -c "$cubic" to "$LH_NET_B" 2> /dev/null &
cubic_pid=$!
sleep 7
measure 6
check "fair beside CUBIC, per cent of what flowed" $((100 * udp / (udp + tcp))) 20 80
tell --policy low --min 0
sleep 5
measure 5
check "low beside CUBIC, per cent of what flowed" $((100 * udp / (udp + tcp))) 0 30
tell --min 40m
sleep 3
measure 4
check "low with a minimum of 40 Mbit/s, Mbit/s" $udp 15 80
tell --min 0
kill $cubic_pid
sleep 9
measure 3
check "low when CUBIC has gone, Mbit/s" $udp 30 101
tell --rate 30m
sleep 1
measure 3
check "with a target of 30 Mbit/s, Mbit/s" $udp 12 36
kill $transfer
wait_for 20
check "asked to stop, exit status" $status 1 1
finish
