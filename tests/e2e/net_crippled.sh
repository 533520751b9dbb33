#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A network that lets UDP through and polices it to 20 kB/s: by itself it would take an hour. SSH carries the data, too,
# soon. Counted by the link emulator, from outside.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
if ! command -v nft > /dev/null || ! lh_net_start delay=1ms; then
    echo "1..0 # SKIP nft is needed to police UDP"
    exit 0
fi
make_file data 64

for direction in upload download; do
    link rate=100m,delay=20ms
    if [ $direction = upload ]; then
        set -- "$work/data" "$(remote)/up"
        way=ab
        end=lh_net_a
    else
        set -- "$(remote)/up" "$work/down"
        way=ba
        end=lh_net_b
    fi
    $end nft 'add table inet police; add chain inet police out { type filter hook postrouting priority 0; };
        add rule inet police out meta l4proto udp limit rate over 20 kbytes/second burst 20 kbytes drop'
    check "$direction, UDP is policed (exit status of nft)" $? 0 0
    begin=$(date +%s)
    start "$@"
    wait_for 60
    check "$direction, exit status" $status 0 0
    check "$direction, lines that say why" "$(grep -c ': UDP is held back on the way here' "$work/out")" 1 1
    check "$direction, seconds" $(($(date +%s) - begin)) 0 35
    check "$direction, bytes over SSH" "$(lh_net_figure $way.forwarded.tcp.bytes)" 55000000 80000000
    check "$direction, bytes over UDP" "$(lh_net_figure $way.forwarded.udp.bytes)" 1 5000000
done
check "the file is the same" "$(same "$work/data" "$home/up")" 1 1
check "and back" "$(same "$work/data" "$work/down")" 1 1
finish
