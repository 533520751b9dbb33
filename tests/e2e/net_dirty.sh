#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Everything at once: loss in bursts, jitter, reordering, copies, and datagrams damaged so that the UDP checksum does not
# see it. What arrives is what was sent.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
make_file data 96
mkdir "$work/tree"
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    head -c $((n * 5000)) /dev/urandom > "$work/tree/file$n"
done
dirt=loss=2%,burst=4,jitter=3ms,reorder=2%,reorder-by=4ms,duplicate=1%,corrupt=0.1%,corrupt-hidden=1%

for seed in 1 2; do
    link rate=300m,delay=20ms,$dirt --seed $seed
    start -d "$work/data" "$work/tree" "$(remote)/up$seed"
    wait_for 40
    check "upload, seed $seed, exit status" $status 0 0
    check "the file is the same" "$(same "$work/data" "$home/up$seed/data")" 1 1
    diff -r "$work/tree" "$home/up$seed/tree" > /dev/null
    check "the tree is the same (exit status of diff)" $? 0 0
    check "damaged datagrams that reached the receiver" "$(lh_net_figure ab.corrupted_hidden)" 300 3000
done
finish
