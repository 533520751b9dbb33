#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# ECN over real sockets: packets leave marked ECT(0), a congested link marks them CE instead of losing them, and the
# sender slows down for that. Where marks are wiped out on the way, the transfer goes on without. Counted by the link
# emulator, from outside, and by lhcp.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
make_file data 64

ce_told()
{
    sed -n 's/.*"type":"summary".*"ce_packets":\([0-9]*\).*/\1/p' "$work/out"
}

for direction in upload download; do
    if [ $direction = upload ]; then
        set -- "$work/data" "$(remote)/ecn"
        way=ab
    else
        set -- "$(remote)/ecn" "$work/back"
        way=ba
    fi
    link rate=100m,delay=10ms,queue=1m,ce-above=5ms
    start --json "$@"
    wait_for 40
    check "$direction, exit status" $status 0 0
    check "packets marked CE on the way" "$(lh_net_figure $way.marked_ce)" 50 100000
    check "marks that lhcp heard of" "$(ce_told)" 50 100000
    check "packets that the queue of 80 ms lost" "$(lh_net_figure $way.drops.queue)" 0 50
    check "per cent over UDP" "$(share_udp $way)" 95 100
done
check "the file is the same" "$(same "$work/data" "$work/back")" 1 1

link rate=100m,delay=10ms,ecn-clear=on,ce-above=5ms
start --json "$work/data" "$(remote)/bleached"
wait_for 40
check "marks wiped out, exit status" $status 0 0
check "packets marked CE" "$(lh_net_figure ab.marked_ce)" 0 0
check "per cent over UDP" "$(share_udp ab)" 95 100
finish
