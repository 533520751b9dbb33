#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A path that silently swallows packets above 1,300 bytes: from the start, and from one moment on. TCP is told to keep
# its segments small, as the routers before such holes do.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
make_file data 64

small_tcp()
{
    for _end in lh_net_a lh_net_b; do
        $_end ip route replace 10.99.0.0/24 dev wan0 proto kernel scope link advmss 1200 || exit 1
    done
}

link rate=200m,delay=10ms,hole=1300
small_tcp
start "$work/data" "$(remote)/hole"
wait_for 30
check "MTU hole from the start, exit status" $status 0 0
check "the file is the same" "$(same "$work/data" "$home/hole")" 1 1
check "per cent over UDP" "$(share_udp ab)" 95 100

link rate=100m,delay=10ms
small_tcp
start "$work/data" "$(remote)/later"
sleep 3
lh_net_set both hole=1300
wait_for 40
check "MTU hole half-way, exit status" $status 0 0
check "the file is the same" "$(same "$work/data" "$home/later")" 1 1
finish
