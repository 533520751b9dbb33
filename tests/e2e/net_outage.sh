#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# An outage of 150 s, longer than a session lives: lhcp connects again by itself when the network is back, and goes on
# where it was. Nothing that is written meanwhile asks a person to do what it does by itself.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
make_file data 60

count()
{
    grep -c -e "$1" "$work/out"
}

link rate=50m,delay=20ms
start --json "$work/data" "$(remote)/long"
sleep 4
lh_net_set both down=on
sleep 150
lh_net_set both down=off
wait_for 120
check "outage of 150 s, exit status" $status 0 0
check "the file is the same" "$(same "$work/data" "$home/long")" 1 1
check "bytes on the link" "$(lh_net_figure ab.forwarded.bytes)" 60000000 90000000
check "connected again" "$(sed -n 's/.*"type":"summary".*"retries":\([0-9]*\).*/\1/p' "$work/out")" 1 100
check "notices of another try" "$(count 'trying again in')" 1 100
check "notices that suggest another port" "$(count 'Try -P')" 0 0
check "notices that ask for the same command" "$(count 'same command')" 0 0
finish
