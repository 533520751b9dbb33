#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A private, hardened sshd for tests and the demonstration. Nothing on this machine changes. Its configuration is the
# distribution's, hardened by our own `lhctl sshd plan` (profile modern), and a few lines that only a fixture needs.
#
#   tests/support/sshd.sh run COMMAND...     prepares, starts sshd, runs COMMAND, cleans up; its exit status
#   . tests/support/sshd.sh                  the functions below, for COMMAND itself and for other fixtures
#
# As root, `run` makes namespaces (mount, network, process): loopback only, an /etc/passwd, shadow, group, hosts and
# nsswitch.conf of its own, a /run and homes on tmpfs, and throw-away users lhuser1, lhuser2, ... (uid 20001, ...).
# Everything is gone when COMMAND ends. As an ordinary user sshd runs as that user and logs in that user, with its own
# keys, on the real loopback; so does root where namespaces are forbidden (a container) and with LH_SSHD_MODE=self.
#
# Settings (environment), with their defaults:
#   LH_SSHD_BIN        $LH_BUILD/src/cmd     folder of lhserver and lhctl: first in PATH of sessions
#   LH_SSHD_LHCTL      lhctl beside lhserver, or of a build folder
#   LH_SSHD_PORT       33001
#   LH_SSHD_ADDRESS    127.0.0.1             ListenAddress
#   LH_SSHD_KEYS       "ed25519 ecdsa rsa"   types of host key it has, the first being the one it prefers
#   LH_SSHD_USERS      2                     throw-away users (root only)
#   LH_SSHD_PASSWORD   ""                    not empty: users may log in with it (root only)
#   LH_SSHD_HOMES      ""                    folder for the homes instead of tmpfs (root only): large trees
#   LH_SSHD_CIPHERS    ""                    instead of those of the profile
#   LH_SSHD_EXTRA      ""                    further lines, at the end of sshd_config
#
# `run` exports, besides these:
#   LH_SSHD_MODE       users | self          throw-away users, or the calling user
#   LH_SSHD_DIR        folder of the fixture (removed at the end)
#   LH_SSHD_USER       a user to log in as;  LH_SSHD_HOME its home (self: an empty folder of the fixture)
#   LH_SSHD_KEY        a private key that may log in (no passphrase); $LH_SSHD_DIR/client/wrong: one that may not,
#                      $LH_SSHD_DIR/client/locked: one that may, with the passphrase "lh passphrase"
#   LH_SSHD_KNOWN      a known_hosts file with the host's keys
#   LH_SSHD_SHA256, LH_SSHD_SHA1             fingerprints of the first host key, as --check-sshfp takes them
#
# Functions. NAME is an instance, "main" if left out; several may run, each with its host keys.
#   lh_sshd_start [NAME]    starts an instance at LH_SSHD_ADDRESS:LH_SSHD_PORT with the settings of the moment and
#                           waits until it listens (host keys are made the first time, in $LH_SSHD_DIR/NAME)
#   lh_sshd_stop [NAME]     stops it; sessions that are under way live on
#   lh_sshd_check [NAME]    runs `lhctl sshd check` on its configuration
#   lh_sshd_log [NAME]      path of its log
#   lh_sshd_user [N]        name of the Nth user, from 1
#   lh_sshd_home [N]        and home
#   lh_sshd_known [NAME]    prints known_hosts lines
#   lh_sshd_fingerprint sha1|sha256 TYPE [NAME]     40 hex digits | SHA256:...

lh_sshd_die()
{
    echo "sshd.sh: $*" >&2
    exit 1
}

lh_sshd_settings()
{
    : "${LH_SSHD_BIN:=${LH_BUILD:-$LH_SSHD_TOP/build}/src/cmd}" "${LH_SSHD_PORT:=33001}" "${LH_SSHD_ADDRESS:=127.0.0.1}"
    : "${LH_SSHD_KEYS:=ed25519 ecdsa rsa}" "${LH_SSHD_USERS:=2}" "${LH_SSHD_PASSWORD:=}" "${LH_SSHD_HOMES:=}"
    : "${LH_SSHD_EXTRA:=}" "${LH_SSHD_CIPHERS:=}"
    # LH_SSHD_BIN may be the folder of another server, and become one later.
    for _folder in "$LH_SSHD_BIN" "${LH_BUILD:-}/src/cmd" "$LH_SSHD_TOP/build/src/cmd"; do
        [ -n "${LH_SSHD_LHCTL:-}" ] || [ ! -x "$_folder/lhctl" ] || LH_SSHD_LHCTL=$(cd "$_folder" && pwd)/lhctl
    done
    [ -n "${LH_SSHD_LHCTL:-}" ] || lh_sshd_die "no lhctl beside lhserver, nor in a build folder: build it"
    export LH_SSHD_LHCTL
    export LH_SSHD_TOP LH_SSHD_BIN LH_SSHD_PORT LH_SSHD_ADDRESS LH_SSHD_KEYS LH_SSHD_USERS LH_SSHD_PASSWORD
    export LH_SSHD_HOMES LH_SSHD_EXTRA LH_SSHD_CIPHERS
}

lh_sshd_user()
{
    if [ "$LH_SSHD_MODE" = users ]; then echo "lhuser${1:-1}"; else id -un; fi
}

lh_sshd_home()
{
    echo "$LH_SSHD_DIR/home/$(lh_sshd_user "${1:-1}")"
}

lh_sshd_log()
{
    echo "$LH_SSHD_DIR/${1:-main}/log"
}

# --- Files of the private mount namespace -------------------------------------------------------------------------

# Puts standard input in the place of /etc/$1, in this namespace only.
lh_sshd_own_etc()
{
    cat > "$LH_SSHD_DIR/etc/$1"
    [ -e "/etc/$1" ] || return 0 # no place to bind it to: the host has none, which means the default
    mount --bind "$LH_SSHD_DIR/etc/$1" "/etc/$1"
}

# Runs as root in the new namespaces: /run and /etc of our own.
lh_sshd_own_world()
{
    mount -t tmpfs -o mode=755 lh-run /run
    mkdir -m 755 /run/sshd /run/longhaul-sshd
    LH_SSHD_DIR=/run/longhaul-sshd
    mkdir -m 755 "$LH_SSHD_DIR/etc" "$LH_SSHD_DIR/home" "$LH_SSHD_DIR/bin"
    if [ -n "$LH_SSHD_HOMES" ]; then
        mount --bind "$LH_SSHD_HOMES" "$LH_SSHD_DIR/home"
        chmod 755 "$LH_SSHD_DIR/home"
    fi
    # The folder of lhserver may lie below a home that throw-away users cannot enter; a bind mount they can.
    mount --bind "$LH_SSHD_BIN" "$LH_SSHD_DIR/bin"
    LH_SSHD_BIN=$LH_SSHD_DIR/bin
    if command -v ip > /dev/null; then ip link set lo up; else ifconfig lo up; fi
    # Outgoing connections must not take the ports that servers of the tests are about to bind.
    { echo 40000 60999 > /proc/sys/net/ipv4/ip_local_port_range; } 2> /dev/null || true

    _hash='*'
    [ -z "$LH_SSHD_PASSWORD" ] || _hash=$(printf '%s' "$LH_SSHD_PASSWORD" | openssl passwd -6 -stdin)
    {
        echo "root:x:0:0:root:$LH_SSHD_DIR/home/root:/bin/sh"
        echo "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"
        echo "sshd:x:20000:65534::/run/sshd:/usr/sbin/nologin"
        _n=1
        while [ $_n -le "$LH_SSHD_USERS" ]; do
            echo "lhuser$_n:x:$((20000 + _n)):$((20000 + _n))::$LH_SSHD_DIR/home/lhuser$_n:/bin/sh"
            _n=$((_n + 1))
        done
    } > "$LH_SSHD_DIR/etc/passwd.new"
    awk -F: '{ print $1 ":x:" $4 ":" }' "$LH_SSHD_DIR/etc/passwd.new" | lh_sshd_own_etc group
    awk -F: -v hash="$_hash" '{ print $1 ":" ($3 > 20000 && $3 < 65000 ? hash : "*") ":19000:0:99999:7:::" }' \
        "$LH_SSHD_DIR/etc/passwd.new" | (umask 077 && lh_sshd_own_etc shadow)
    lh_sshd_own_etc passwd < "$LH_SSHD_DIR/etc/passwd.new"
    printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n' | lh_sshd_own_etc nsswitch.conf
    printf '127.0.0.1 localhost server.test\n::1 localhost6 server6.test\n' | lh_sshd_own_etc hosts
    _n=0
    while [ $_n -le "$LH_SSHD_USERS" ]; do
        if [ $_n -eq 0 ]; then _user=root; else _user=lhuser$_n; fi
        install -d -m 700 -o "$_user" -g "$_user" "$LH_SSHD_DIR/home/$_user"
        _n=$((_n + 1))
    done
    # ssh takes the home from the password file; other programs take it from here.
    HOME=$LH_SSHD_DIR/home/root
    export HOME
}

# --- Preparing ----------------------------------------------------------------------------------------------------

# Makes LH_SSHD_DIR with the client's keys. LH_SSHD_MODE says which kind.
lh_sshd_prepare()
{
    umask 022
    lh_sshd_settings
    [ -x "$(command -v sshd || echo /usr/sbin/sshd)" ] || lh_sshd_die "no sshd here: install openssh-server"
    if [ "$LH_SSHD_MODE" = users ]; then
        lh_sshd_own_world || lh_sshd_die "cannot set up the private namespace"
    else
        LH_SSHD_DIR=$(mktemp -d "${TMPDIR:-/tmp}/longhaul-sshd.XXXXXX") || exit 1
        mkdir -p "$LH_SSHD_DIR/home/$(id -un)"
        # sshd started by root insists on this folder; it is removed again.
        if [ "$(id -u)" = 0 ] && [ ! -d /run/sshd ]; then
            mkdir -m 755 /run/sshd
            touch "$LH_SSHD_DIR/made-run-sshd"
        fi
    fi
    mkdir -m 755 "$LH_SSHD_DIR/client" "$LH_SSHD_DIR/authorized"
    for _key in id wrong; do
        ssh-keygen -q -t ed25519 -N '' -C "longhaul test" -f "$LH_SSHD_DIR/client/$_key" || exit 1
    done
    ssh-keygen -q -t ed25519 -N 'lh passphrase' -C "longhaul test" -f "$LH_SSHD_DIR/client/locked" || exit 1
    _n=1
    while [ $_n -le "$LH_SSHD_USERS" ]; do
        sed 's/^/restrict /' "$LH_SSHD_DIR/client/id.pub" "$LH_SSHD_DIR/client/locked.pub" \
            > "$LH_SSHD_DIR/authorized/$(lh_sshd_user $_n)"
        _n=$((_n + 1))
    done
    LH_SSHD_USER=$(lh_sshd_user)
    LH_SSHD_HOME=$(lh_sshd_home 1)
    LH_SSHD_KEY=$LH_SSHD_DIR/client/id
    LH_SSHD_KNOWN=$LH_SSHD_DIR/client/known_hosts
    export LH_SSHD_MODE LH_SSHD_DIR LH_SSHD_USER LH_SSHD_HOME LH_SSHD_KEY LH_SSHD_KNOWN LH_SSHD_BIN
}

lh_sshd_cleanup()
{
    for _pid_file in "$LH_SSHD_DIR"/*/pid; do
        [ -e "$_pid_file" ] && kill "$(cat "$_pid_file")" 2> /dev/null
    done
    if [ "$LH_SSHD_MODE" = self ]; then
        [ -e "$LH_SSHD_DIR/made-run-sshd" ] && rmdir /run/sshd
        chmod -R u+rwX "$LH_SSHD_DIR" # trees may hold folders that even we may not write to
        rm -rf "$LH_SSHD_DIR"
    fi
    return 0
}

# --- Instances ----------------------------------------------------------------------------------------------------

# A root for `lhctl sshd plan`: the distribution's sshd_config, but for drop-ins of this machine, with our host keys and
# address; and an administrator, without whom no plan can be carried out.
lh_sshd_root()
{
    _dir=$LH_SSHD_DIR/$1
    _root=$_dir/root
    _uid=$(id -u)
    [ "$_uid" != 0 ] || _uid=1000
    mkdir -p "$_root/etc/ssh" "$_root/home/keeper/.ssh" "$_root$_dir"
    for _type in $LH_SSHD_KEYS; do
        cp "$_dir/host_$_type" "$_dir/host_$_type.pub" "$_root$_dir"
        echo "HostKey $_dir/host_$_type"
    done > "$_root/etc/ssh/sshd_config"
    _default=/usr/share/openssh/sshd_config # as Debian's package has it
    [ -r $_default ] || _default=/etc/ssh/sshd_config
    {
        echo "ListenAddress $LH_SSHD_ADDRESS"
        if [ -r $_default ]; then grep -iv '^[[:space:]]*Include[[:space:]]' $_default; fi
    } >> "$_root/etc/ssh/sshd_config"
    printf 'root:x:0:0::/root:/bin/sh\nkeeper:x:%s:%s::/home/keeper:/bin/sh\n' "$_uid" "$_uid" > "$_root/etc/passwd"
    printf 'root:x:0:\nkeeper:x:%s:\n' "$_uid" > "$_root/etc/group"
    printf 'keeper:*:19000:0:99999:7:::\n' > "$_root/etc/shadow"
    printf 'keeper ALL=(ALL) NOPASSWD: ALL\n' > "$_root/etc/sudoers"
    mkdir -p "$_root$LH_SSHD_DIR/authorized"
    cp "$LH_SSHD_DIR/client/id.pub" "$_root/home/keeper/.ssh/authorized_keys" # where the default has keys
    cp "$LH_SSHD_DIR/client/id.pub" "$_root$LH_SSHD_DIR/authorized/keeper"    # and we
}

# The lines that only a fixture needs. They stand in front: the first value wins.
lh_sshd_own_lines()
{
    _dir=$LH_SSHD_DIR/$1
    echo "# Of the fixture:"
    echo "PidFile $_dir/pid"
    echo "AuthorizedKeysFile $LH_SSHD_DIR/authorized/%u"
    # self: the journals of lhserver must not reach the user's own state directory.
    if [ "$LH_SSHD_MODE" = self ]; then _state="XDG_STATE_HOME=$LH_SSHD_DIR/state"; else _state=; fi
    echo "SetEnv PATH=$LH_SSHD_BIN:/usr/bin:/bin $_state"
    if [ "$LH_SSHD_MODE" = self ]; then
        echo "PermitRootLogin prohibit-password"
        echo "AllowUsers $(id -un)"
        echo "StrictModes no" # the fixture lies below /tmp
    fi
    [ -z "$LH_SSHD_PASSWORD" ] || echo "PasswordAuthentication yes"
    [ -z "$LH_SSHD_CIPHERS" ] || echo "Ciphers $LH_SSHD_CIPHERS"
    echo "UsePAM no" # PAM knows no users of ours
    echo "PermitTTY no"
    echo "PrintMotd no"
    echo "LoginGraceTime 30"
    echo "MaxStartups 100" # tests log in many times at once
    # A profile offers one or two host keys; tests want all that they asked for.
    for _type in $LH_SSHD_KEYS; do
        grep -qx "HostKey $_dir/host_$_type" "$_dir/planned/etc/ssh/sshd_config" || echo "HostKey $_dir/host_$_type"
    done
}

# What is shipped is what is tested: `lhctl sshd plan` hardens the distribution's configuration.
lh_sshd_config()
{
    _dir=$LH_SSHD_DIR/$1
    case " $LH_SSHD_KEYS " in
    *" ed25519 "*) _profile=modern ;;
    *" ecdsa "*) _profile=aspera-4 ;;
    *) _profile=aspera-3 ;;
    esac
    _keep=
    [ -z "$LH_SSHD_PASSWORD" ] || _keep="--passwords keep"
    lh_sshd_root "$1"
    mkdir -p "$_dir/planned"
    # shellcheck disable=SC2086 # _keep is two words or none
    "$LH_SSHD_LHCTL" sshd plan $_profile --root "$_root" --port "$LH_SSHD_PORT" --days 0 $_keep \
        --write "$_dir/planned" > "$_dir/plan" 2>&1 || lh_sshd_die "lhctl sshd plan: $(cat "$_dir/plan")"
    lh_sshd_own_lines "$1"
    cat "$_dir/planned/etc/ssh/sshd_config"
    printf '%s\n' "$LH_SSHD_EXTRA"
}

lh_sshd_start()
{
    _name=${1:-main}
    _dir=$LH_SSHD_DIR/$_name
    _sshd=$(command -v sshd || echo /usr/sbin/sshd)
    mkdir -p "$_dir"
    for _type in $LH_SSHD_KEYS; do
        [ -e "$_dir/host_$_type" ] ||
            ssh-keygen -q -t "$_type" -N '' -C "longhaul test" -f "$_dir/host_$_type" || return 1
    done
    lh_sshd_config "$_name" > "$_dir/sshd_config.new" || return 1
    mv "$_dir/sshd_config.new" "$_dir/sshd_config"
    cp "$_dir/sshd_config" "$_dir/root$_dir" # for lh_sshd_check
    rm -f "$_dir/pid"
    "$_sshd" -f "$_dir/sshd_config" -E "$_dir/log" || lh_sshd_die "sshd does not start; its log: $(cat "$_dir/log")"
    # sshd writes its pid once it listens.
    _tries=0
    while [ ! -s "$_dir/pid" ]; do
        _tries=$((_tries + 1))
        [ $_tries -le 100 ] || lh_sshd_die "sshd does not listen on $LH_SSHD_ADDRESS:$LH_SSHD_PORT: $(cat "$_dir/log")"
        sleep 0.05
    done
    if [ "$_name" = main ]; then
        lh_sshd_known main > "$LH_SSHD_KNOWN"
        LH_SSHD_SHA256=$(lh_sshd_fingerprint sha256 "${LH_SSHD_KEYS%% *}")
        LH_SSHD_SHA1=$(lh_sshd_fingerprint sha1 "${LH_SSHD_KEYS%% *}")
        export LH_SSHD_SHA256 LH_SSHD_SHA1
    fi
}

# What `lhctl sshd check` says of an instance's configuration. Its exit status.
lh_sshd_check()
{
    _dir=$LH_SSHD_DIR/${1:-main}
    "$LH_SSHD_LHCTL" sshd check --root "$_dir/root" --config "$_dir/sshd_config" --port "$LH_SSHD_PORT" --days 0
}

lh_sshd_stop()
{
    _pid_file=$LH_SSHD_DIR/${1:-main}/pid
    [ -e "$_pid_file" ] || return 0
    _pid=$(cat "$_pid_file")
    kill "$_pid"
    while kill -0 "$_pid" 2> /dev/null; do sleep 0.02; done
    rm -f "$_pid_file"
}

lh_sshd_known()
{
    for _type in $LH_SSHD_KEYS; do
        for _host in 127.0.0.1 ::1 localhost server.test; do
            printf '[%s]:%s %s\n' "$_host" "$LH_SSHD_PORT" \
                "$(cut -d ' ' -f 1,2 "$LH_SSHD_DIR/${1:-main}/host_$_type.pub")"
        done
    done
}

lh_sshd_fingerprint()
{
    _public=$LH_SSHD_DIR/${3:-main}/host_$2.pub
    case $1 in
    sha256) ssh-keygen -l -E sha256 -f "$_public" | cut -d ' ' -f 2 ;;
    sha1) cut -d ' ' -f 2 "$_public" | base64 -d | sha1sum | cut -d ' ' -f 1 ;;
    *) lh_sshd_die "no fingerprint of kind $1" ;;
    esac
}

# --- run ----------------------------------------------------------------------------------------------------

lh_sshd_run()
{
    lh_sshd_prepare
    trap lh_sshd_cleanup EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    lh_sshd_start main
    "$@"
}

# Sourced scripts find the tree by LH_SSHD_TOP, which run exports.
case ${0##*/}:${1:-} in
sshd.sh:run)
    shift
    [ $# -gt 0 ] || lh_sshd_die "run what?"
    LH_SSHD_TOP=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
    lh_sshd_settings
    if [ "$(id -u)" = 0 ] && [ -z "${LH_SSHD_MODE:-}" ] && unshare -mn true 2> /dev/null; then
        export LH_SSHD_MODE=users
        exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private "$0" inside "$@"
    fi
    LH_SSHD_MODE=self
    lh_sshd_run "$@"
    ;;
sshd.sh:inside)
    shift
    lh_sshd_run "$@"
    ;;
sshd.sh:*)
    sed -n '3,/^$/s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
