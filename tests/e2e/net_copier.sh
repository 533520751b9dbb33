#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Somebody beside the client copies every datagram of it to the server, from a port of his own, on a link that loses some
# of the originals: again and again an authentic, newest datagram comes from him first. He gets challenges and next to
# none of the data; the transfer goes on over UDP, in one session.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
copy=$LH_NET_TOP/tests/support/copy-datagrams
make_file data 40

field()
{
    sed -n "s/.*\"$1\": \([^,}]*\).*/\1/p" "$work/copied"
}

for direction in upload download; do
    link rate=100m,delay=20ms,loss=5%
    if [ $direction = upload ]; then
        set -- "$work/data" "$(remote)/copied"
        way=ab
    else
        set -- "$(remote)/copied" "$work/back"
        way=ba
    fi
    start --json -l 30m "$@"
    sleep 2
    lh_net_a "$copy" wan0 6 > "$work/copied"
    kill -0 $transfer 2> /dev/null
    check "$direction, the transfer still ran after the copying (exit status)" $? 0 0
    check "$direction, datagrams copied" "$(field copied)" 100 100000
    check "$direction, challenges and mistakes that came to the copier" "$(field answers)" 1 2000
    check "$direction, bytes that came to the copier" "$(field answer_bytes)" 1 400000
    wait_for 60
    check "$direction, exit status" $status 0 0
    check "$direction, sessions after the first" \
        "$(sed -n 's/.*"type":"summary".*"retries":\([0-9]*\).*/\1/p' "$work/out")" 0 0
    # On a machine that is busy with other things UDP starts slowly, and SSH helps for a while.
    check "$direction, per cent over UDP" "$(share_udp $way)" 50 100
done
check "the file is the same" "$(same "$work/data" "$home/copied")" 1 1
check "and back" "$(same "$work/data" "$work/back")" 1 1
finish
