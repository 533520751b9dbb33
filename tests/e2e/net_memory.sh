#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# 8 MiB of memory on a path that holds twice as much and loses packets: blocks are taken early on one side and read
# again on the other. And an outage of a whole minute, which no session may notice but by the time it takes.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
make_file data 160

# Peak memory of a program in MB; the loopback server runs as the test's own user.
peak_mb()
{
    awk '/VmHWM/ { printf "%d\n", $2 / 1024 }' "/proc/$1/status" 2> /dev/null || echo 0
}

transfer_within()
{
    start --json --memory 8m "$@"
    peak=0
    while kill -0 "$transfer" 2> /dev/null; do
        now=$(peak_mb "$transfer")
        [ "${now:-0}" -le "$peak" ] || peak=$now
        sleep 0.2
    done
    wait_for 5
}

link rate=400m,delay=150ms,loss=2%
transfer_within "$work/data" "$(remote)/up"
check "up within 8 MiB, exit status" $status 0 0
check "the file is the same" "$(same "$work/data" "$home/up")" 1 1
check "MB that lhcp held at most" "$peak" 4 64
check "bytes on the link" "$(lh_net_figure ab.forwarded.bytes)" 167772160 220000000
transfer_within "$(remote)/up" "$work/back"
check "and down, exit status" $status 0 0
check "the file is the same" "$(same "$work/data" "$work/back")" 1 1
check "MB that lhcp held at most" "$peak" 4 64

link rate=50m,delay=20ms
start --json "$work/data" "$(remote)/outage"
sleep 3
lh_net_set both down=on
sleep 60
lh_net_set both down=off
wait_for 60
check "an outage of 60 s, exit status" $status 0 0
check "the file is the same" "$(same "$work/data" "$home/outage")" 1 1
check "times that the session was lost" "$(grep -c 'trying again\|logs in again' "$work/out")" 0 0
check "bytes on the link" "$(lh_net_figure ab.forwarded.bytes)" 167772160 200000000
finish
