#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# UDP dies in the middle of a transfer, in both directions or in one: within 5 s the data flows over SSH, and soon
# after UDP's return over UDP again. Both are timed from outside, by the counters of the link emulator.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
make_file data 100

for direction in upload download; do
    for blocked in both ab ba; do
        rm -f "$home/up" "$work/down"
        link rate=60m,delay=20ms
        if [ $direction = upload ]; then
            set -- "$work/data" "$(remote)/up"
            way=ab
        else
            cp "$work/data" "$home/source"
            set -- "$(remote)/source" "$work/down"
            way=ba
        fi
        start "$@"
        sleep 3
        lh_net_set $blocked udp-block=on
        gap=$(grown_after $way.forwarded.tcp.bytes 300000)
        check "$direction, UDP blocked ($blocked): ms until data flows over SSH" $gap 0 5000
        sleep 2
        lh_net_set $blocked udp-block=off
        gap=$(grown_after $way.forwarded.udp.bytes 1000000)
        check "$direction, UDP open again ($blocked): ms until data flows over UDP" $gap 0 8000
        wait_for 60
        check "exit status" $status 0 0
        check "lines that say that UDP fell silent" "$(grep -c 'UDP fell silent; data goes over SSH' "$work/out")" 1 1
        check "lines that say that UDP is back" "$(grep -c ': UDP answers again' "$work/out")" 1 1
        if [ $direction = upload ]; then
            check "the file is the same" "$(same "$work/data" "$home/up")" 1 1
        else
            check "the file is the same" "$(same "$work/data" "$work/down")" 1 1
        fi
    done
done
finish
