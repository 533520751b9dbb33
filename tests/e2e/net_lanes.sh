#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Which way do the bytes go? Counted by the link emulator, from outside: at least 95 % over UDP where UDP passes, none
# where it is blocked; then the transfer completes over SSH and says so.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
make_file data 96

link rate=400m,delay=10ms
start "$work/data" "$(remote)/up"
wait_for 30
check "upload, exit status" $status 0 0
check "the file is the same" "$(same "$work/data" "$home/up")" 1 1
check "per cent over UDP" "$(share_udp ab)" 95 100
check "bytes on the link" "$(lh_net_figure ab.forwarded.bytes)" 100663296 115000000

link rate=400m,delay=10ms,loss=1%
start "$(remote)/up" "$work/down"
wait_for 30
check "download at 1 % loss, exit status" $status 0 0
check "the file is the same" "$(same "$work/data" "$work/down")" 1 1
check "per cent over UDP" "$(share_udp ba)" 95 100

for way in both ab ba; do
    rm -f "$home/up"
    link rate=400m,delay=10ms
    lh_net_set $way udp-block=on
    start "$work/data" "$(remote)/up"
    wait_for 30
    check "UDP blocked ($way), exit status" $status 0 0
    check "the file is the same" "$(same "$work/data" "$home/up")" 1 1
    [ $way = ba ] || check "UDP bytes that passed" "$(lh_net_figure ab.forwarded.udp.bytes)" 0 0
    check "TCP bytes" "$(lh_net_figure ab.forwarded.tcp.bytes)" 100663296 120000000
    check "lines that name SSH as the way" "$(grep -c 'over SSH' "$work/out")" 1 9
done
finish
