#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The client's NAT forgets its mappings in the middle of a transfer, twice: from one packet to the next the server sees
# the session come from other ports. It goes on over UDP, on the same SSH connection.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
if ! command -v nft > /dev/null || ! lh_net_start delay=1ms; then
    echo "1..0 # SKIP nft is needed to change ports"
    exit 0
fi

# Every UDP port of the transfer appears as one $1 lower, in both directions, without a connection table.
map_ports()
{
    _ports=$(lh_net_a ss -Huan | awk '{ n = split($4, part, ":"); print part[n] }' | sort -u)
    [ -n "$_ports" ] || return 1
    {
        echo "flush ruleset"
        echo "table ip nat0 {"
        echo "chain out { type filter hook postrouting priority 0;"
        for _port in $_ports; do echo "oifname wan0 udp sport $_port counter udp sport set $((_port - $1))"; done
        echo "}"
        echo "chain in { type filter hook prerouting priority -300;"
        for _port in $_ports; do echo "iifname wan0 udp dport $((_port - $1)) counter udp dport set $_port"; done
        echo "}"
        echo "}"
    } | lh_net_a nft -f -
}

make_file data 96
for direction in upload download; do
    link rate=100m,delay=20ms
    if [ $direction = upload ]; then
        set -- "$work/data" "$(remote)/moved"
        way=ab
    else
        set -- "$(remote)/moved" "$work/back"
        way=ba
    fi
    start "$@"
    sleep 3
    map_ports 100
    check "$direction, ports changed (exit status of nft)" $? 0 0
    sleep 2
    before=$(lh_net_figure $way.forwarded.udp.bytes)
    map_ports 200
    sleep 2
    check "$direction, UDP bytes within 2 s after the second change" \
        "$(($(lh_net_figure $way.forwarded.udp.bytes) - before))" 8000000 96000000
    wait_for 40
    check "$direction, exit status" $status 0 0
    check "$direction, packets whose ports were changed" \
        "$(lh_net_a nft list ruleset | awk '{ for (i = 1; i < NF; i++) if ($i == "packets") n += $(i + 1) } END { print n }')" \
        500 100000
    check "$direction, per cent over UDP" "$(share_udp $way)" 95 100
done
check "the file is the same" "$(same "$work/data" "$home/moved")" 1 1
check "and back" "$(same "$work/data" "$work/back")" 1 1
finish
