#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The bottleneck that only a real distance makes: the network, and a window too small for it. (The others: live.py.) And
# the policy fixed on a line that does not carry its target: it slows down, and says so.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"

held()
{
    sed -n 's/.*"bottleneck": *"\([^"]*\)".*/\1/p' "$work/out" | tail -n 1
}

is()
{
    [ "$1" = "$2" ] && echo 1 || echo "0 ($1)"
}

link rate=50m,delay=20ms
start --json 'faux:///f?24m' "$LH_SSHD_USER@$LH_NET_B:faux://"
wait_for 60
check "a link of 50 Mbit/s: exit status" $status 0 0
check "the network is named" "$(is "$(held)" network)" 1 1

link rate=1g,delay=150ms
start --json --memory 8m 'faux:///f?96m' "$LH_SSHD_USER@$LH_NET_B:faux://"
wait_for 60
check "8 MiB of window on a path of 37 MB: exit status" $status 0 0
check "the window is named" "$(is "$(held)" window)" 1 1

figure()
{
    sed -n 's/.*"type":"summary".*"'$1'":\([0-9]*\).*/\1/p' "$work/out"
}

for direction in upload download; do
    link rate=20m,delay=20ms
    if [ $direction = upload ]; then
        set -- 'faux:///f?36m' "$LH_SSHD_USER@$LH_NET_B:faux://"
    else
        set -- "$LH_SSHD_USER@$LH_NET_B:faux:///f?36m" faux://
    fi
    start --json -l 100m --policy fixed "$@"
    wait_for 60
    check "$direction, a fifth of the target is carried: exit status" $status 0 0
    check "$direction, times that fixed braked" "$(figure brakes)" 1 2
    check "$direction, lines that say so" "$(grep -c 'the way does not carry 100' "$work/out")" 1 2
done
finish
