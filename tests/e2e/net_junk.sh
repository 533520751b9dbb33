#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A million junk and replayed datagrams during a transfer, from the peer's own address and port and from a stranger's, at
# both ends: nothing is accepted, nothing is answered, the transfer is unharmed. Someone who copies datagrams and is there
# before the original gets a challenge at most, and not the session.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
junk=$LH_NET_TOP/tests/support/junk-datagrams
make_file data 256

field()
{
    sed -n "s/.*\"$2\": \([^,}]*\).*/\1/p" "$work/$1"
}

link rate=2g,delay=5ms,queue=4m
start -l 50m "$work/data" "$(remote)/up"
sleep 2
lh_net_b "$junk" wan0 100000 2 > "$work/from-server" &
other=$!
lh_net_a "$junk" wan0 900000 1 > "$work/from-client"
wait $other
kill -0 $transfer 2> /dev/null
check "the transfer still ran after the last of it (exit status)" $? 0 0
check "datagrams thrown at the server" "$(field from-client sent)" 890000 900000
check "answers to a stranger" "$(field from-client answers)" 0 0
check "challenges to a copier" "$(field from-client challenged)" 0 2000
check "datagrams thrown at the client" "$(field from-server sent)" 99000 100000
check "answers to a stranger at the server" "$(field from-server answers)" 0 0
wait_for 60
echo "# $(tail -n 4 "$work/out" | tr "\n" " ")"
check "exit status" $status 0 0
check "the file is the same" "$(same "$work/data" "$home/up")" 1 1
check "TCP bytes" "$(lh_net_figure ab.forwarded.tcp.bytes)" 1000 5000000
finish
