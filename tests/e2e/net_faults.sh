#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Transfers in which the network misbehaves half-way: an outage of 20 s, UDP that dies, a path that no longer carries
# large packets. Each ends complete, by itself.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
make_file data 96

link rate=100m,delay=10ms
start "$work/data" "$(remote)/outage"
sleep 3
lh_net_set both down=on
sleep 20
lh_net_set both down=off
wait_for 40
check "outage of 20 s, exit status" $status 0 0
check "the file is the same" "$(same "$work/data" "$home/outage")" 1 1
check "bytes on the link" "$(lh_net_figure ab.forwarded.bytes)" 100663296 125000000

link rate=100m,delay=10ms
start "$work/data" "$(remote)/dies"
sleep 3
lh_net_set both udp-block=on
before=$(lh_net_figure ab.forwarded.tcp.bytes)
wait_for 40
check "UDP dies, exit status" $status 0 0
check "the file is the same" "$(same "$work/data" "$home/dies")" 1 1
check "bytes over SSH after that" "$(($(lh_net_figure ab.forwarded.tcp.bytes) - before))" 20000000 115000000
finish
