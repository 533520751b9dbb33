#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Somebody beside the client copies every datagram of it to the server, from a port of his own, on a link that loses some
# of the originals: again and again an authentic, newest datagram comes from him first. Then somebody whose
# copies are there before every original. Both get challenges and next to none of the data; the transfer goes on over
# UDP, in one session.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
copy=$LH_NET_TOP/tests/support/copy-datagrams
make_file data 40

field()
{
    sed -n "s/.*\"$1\": \([^,}]*\).*/\1/p" "$work/copied"
}

# try DIRECTION [ahead]
try()
{
    direction=$1
    shift
    link rate=100m,delay=20ms,loss=5%
    [ $# -eq 0 ] || set -- "$LH_NET_DIR/ns-b"
    if [ $direction = upload ]; then
        from=$work/data to=$(remote)/copied way=ab
    else
        from=$(remote)/copied to=$work/back way=ba
    fi
    rm -f "$work/back"
    start --json -l 30m "$from" "$to"
    what="$direction${1:+, copies ahead}"
    sleep 2
    lh_net_a "$copy" wan0 6 "$@" > "$work/copied"
    kill -0 $transfer 2> /dev/null
    check "$what, the transfer still ran after the copying (exit status)" $? 0 0
    check "$what, datagrams copied" "$(field copied)" 100 100000
    check "$what, challenges and mistakes that came to the copier" "$(field answers)" 1 2000
    check "$what, bytes that came to the copier" "$(field answer_bytes)" 1 400000
    wait_for 60
    check "$what, exit status" $status 0 0
    check "$what, sessions after the first" \
        "$(sed -n 's/.*"type":"summary".*"retries":\([0-9]*\).*/\1/p' "$work/out")" 0 0
    # On a machine that is busy with other things UDP starts slowly, and SSH helps for a while.
    check "$what, per cent over UDP" "$(share_udp $way)" 50 100
}

for ahead in '' ahead; do
    rm -f "$home/copied"
    try upload $ahead
    try download $ahead
done
check "the file is the same" "$(same "$work/data" "$home/copied")" 1 1
check "and back" "$(same "$work/data" "$work/back")" 1 1
finish
