#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The client's address changes in the middle of a transfer: the old one is gone from its interface, another one is there.
# UDP finds its way from the new address by a path challenge; the SSH connection, whose TCP knows the old one only, is
# found dead and made again meanwhile. One session, nothing sent again. The same where sshd's process for the connection
# is killed, and where somebody resets its TCP connection.
# shellcheck disable=SC1091,SC2086,SC2154
. "$(dirname "$0")/../support/net_transfer.sh"
make_file data 128

figure()
{
    sed -n 's/.*"type":"summary".*"'$1'":\([0-9]*\).*/\1/p' "$work/out"
}

logins_from_there()
{
    grep -c 'Accepted publickey.* from 10.99.0.7 ' "$(lh_sshd_log wan)"
}

for direction in upload download; do
    link rate=100m,delay=10ms
    if [ $direction = upload ]; then
        set -- "$work/data" "$(remote)/roamed"
        way=ab
    else
        set -- "$(remote)/roamed" "$work/back"
        way=ba
    fi
    logins=$(logins_from_there)
    start --json -l 40m "$@"
    sleep 4
    lh_net_a ip addr del 10.99.0.1/24 dev wan0
    lh_net_a ip addr add 10.99.0.7/24 dev wan0
    before=$(lh_net_figure $way.forwarded.udp.bytes)
    sleep 6
    check "$direction, UDP bytes within 6 s after the change" \
        "$(($(lh_net_figure $way.forwarded.udp.bytes) - before))" 10000000 50000000
    wait_for 60
    check "$direction, exit status" $status 0 0
    check "$direction, sessions after the first" "$(figure retries)" 0 0
    check "$direction, SSH connections made again" "$(figure ssh_logins)" 1 1
    check "$direction, SSH connections from the new address" \
        "$(($(logins_from_there) - logins))" 1 1
    check "$direction, per cent over UDP" "$(share_udp $way)" 95 100
    check "$direction, bytes on the link" "$(lh_net_figure $way.forwarded.bytes)" 134217728 152000000
done

# The processes of sshd that serve connections: all but those that listen.
kill_sshd_children()
{
    for _comm in /proc/[0-9]*/comm; do
        _pid=${_comm#/proc/}
        _pid=${_pid%/comm}
        case $(cat "$_comm" 2> /dev/null) in
        sshd | sshd-session) grep -qx "$_pid" "$LH_SSHD_DIR"/*/pid || kill -9 "$_pid" ;;
        esac
    done
    return 0
}

reset_tcp()
{
    lh_net_a ss -K dst "$LH_NET_B" dport = "$LH_SSHD_PORT" > /dev/null 2>&1
}

make_file less 40
for harm in kill_sshd_children reset_tcp; do
    link rate=100m,delay=10ms
    start --json -l 40m "$work/less" "$(remote)/$harm"
    sleep 3
    $harm
    check "$harm (exit status)" $? 0 0
    wait_for 40
    check "$harm, exit status" $status 0 0
    check "$harm, sessions after the first" "$(figure retries)" 0 0
    check "$harm, SSH connections made again" "$(figure ssh_logins)" 1 1
    check "$harm, bytes on the link" "$(lh_net_figure ab.forwarded.bytes)" 41943040 47000000
    check "the file is the same" "$(same "$work/less" "$home/$harm")" 1 1
done
check "the file is the same" "$(same "$work/data" "$home/roamed")" 1 1
check "and back" "$(same "$work/data" "$work/back")" 1 1
finish
