#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A path that silently swallows packets above 1,300 bytes: from the start, and from one moment on. TCP is told to keep
# its segments small, as the routers before such holes do. Then jumbo frames, which are used where the path carries them,
# until it does so no more; and interfaces of 1,400 bytes. Sizes are counted by the link emulator.
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

# Mean size of the UDP packets of a way, IP header included, since the figures $2 (packets bytes).
mean_size()
{
    lh_net_figure $1.forwarded.udp.packets $1.forwarded.udp.bytes |
        awk -v before="${2:-0 0}" 'BEGIN { split(before, b, " ") } { n[NR] = $1 }
            END { printf "%.0f\n", (n[1] > b[1]) ? (n[2] - b[2]) / (n[1] - b[1]) : 0 }'
}

for hole in 0 1500; do
    link rate=100m,delay=10ms,hole=$hole --mtu 9000
    small_tcp
    start "$work/data" "$(remote)/jumbo$hole"
    wait_for 40
    check "interfaces of 9000, path of $hole (0: the same), exit status" $status 0 0
    if [ $hole = 0 ]; then
        check "mean size of a packet" "$(mean_size ab)" 8000 9000
    else
        check "mean size of a packet" "$(mean_size ab)" 1400 1500
    fi
    check "the file is the same" "$(same "$work/data" "$home/jumbo$hole")" 1 1
    check "per cent over UDP" "$(share_udp ab)" 95 100
done

link rate=100m,delay=10ms --mtu 9000
small_tcp
start "$(remote)/jumbo0" "$work/back"
sleep 3
check "download, mean size of a packet before the path shrinks" "$(mean_size ba)" 7000 9000
lh_net_set both hole=1500
sleep 1
before=$(lh_net_figure ba.forwarded.udp.packets ba.forwarded.udp.bytes | tr '\n' ' ')
wait_for 40
check "a jumbo path that shrinks half-way, exit status" $status 0 0
check "mean size of a packet after that" "$(mean_size ba "$before")" 1300 1500
check "the file is the same" "$(same "$work/data" "$work/back")" 1 1
check "per cent over UDP" "$(share_udp ba)" 95 100

for end in lh_net_a lh_net_b; do
    link rate=200m,delay=10ms,hole=1400
    small_tcp
    $end ip link set wan0 mtu 1400
    for way in ab ba; do
        if [ $way = ab ]; then set -- "$work/data" "$(remote)/small"; else set -- "$(remote)/small" "$work/small"; fi
        before=$(lh_net_figure $way.forwarded.udp.packets $way.forwarded.udp.bytes | tr '\n' ' ')
        start "$@"
        wait_for 30
        check "interface of 1400 at one end ($end, $way), exit status" $status 0 0
        check "mean size of a packet" "$(mean_size $way "$before")" 1300 1400
    done
    check "the file is the same" "$(same "$work/data" "$work/small")" 1 1
    check "per cent over UDP" "$(share_udp ba)" 95 100
    rm -f "$work/small" "$home/small"
done
finish
