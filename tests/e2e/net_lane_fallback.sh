#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# As net_fallback.sh, with several lanes, each in a thread of its own: UDP dies for all of them and comes back. And one
# lane alone dies, by its port: the others carry the data on.
# shellcheck disable=SC1091,SC2086,SC2154
LH_TRANSFER_OPTIONS="--lanes 3"
. "$(dirname "$0")/../support/net_transfer.sh"
make_file data 100

for direction in upload download; do
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
    lh_net_set both udp-block=on
    gap=$(grown_after $way.forwarded.tcp.bytes 300000)
    check "$direction, UDP blocked: ms until data flows over SSH" $gap 0 5000
    sleep 6 # every lane has noticed
    lh_net_set both udp-block=off
    gap=$(grown_after $way.forwarded.udp.bytes 1000000)
    check "$direction, UDP open again: ms until data flows over UDP" $gap 0 8000
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

if ! command -v nft > /dev/null; then
    finish
    exit 0
fi
rm -f "$home/up"
link rate=60m,delay=20ms
start "$work/data" "$(remote)/up"
sleep 3
port=$(lh_net_a ss -Huan | awk '{ n = split($4, part, ":"); print part[n] }' | sort -u | head -n 1)
lh_net_a nft -f - << RULES
table ip lane0 {
chain out { type filter hook output priority 0; udp sport ${port:-1} drop; }
chain in { type filter hook input priority 0; udp dport ${port:-1} drop; }
}
RULES
sleep 3
before=$(lh_net_figure ab.forwarded.udp.bytes)
sleep 2
check "one lane of three blocked: UDP bytes within 2 s" "$(($(lh_net_figure ab.forwarded.udp.bytes) - before))" \
    4000000 20000000
wait_for 60
check "exit status" $status 0 0
check "per cent over UDP" "$(share_udp ab)" 95 100
check "the file is the same" "$(same "$work/data" "$home/up")" 1 1
finish
