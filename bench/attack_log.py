#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a large log like that of a busy server under attack, from a seed.

  bench/attack_log.py BYTES [SEED] > auth.log

Four lines of ten are not sshd's (cron, sudo, systemd), as in a real auth.log; the rest are failures of some
thousand sources, logins of a few users, scans and drops. The texts are those of OpenSSH 9.2 and 9.9.
"""
import random
import sys

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def main():
    most = int(float(sys.argv[1]))
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    sources = ["198.51.100.%d" % rng.randrange(1, 255) for _ in range(150)]
    sources += ["203.0.%d.%d" % (rng.randrange(256), rng.randrange(1, 255)) for _ in range(4000)]
    sources += ["2001:db8:%x::%x" % (rng.randrange(65536), rng.randrange(65536)) for _ in range(500)]
    users = ["admin", "test", "oracle", "postgres", "ubuntu", "git", "user", "ftp", "www", "pi"]
    users += ["user%d" % n for n in range(500)]
    own = ["192.0.2.%d" % n for n in range(10, 40)]
    written = 0
    second = 0
    pid = 1000
    while written < most:
        second += rng.random() < 0.3
        day, clock = divmod(second, 86400)
        stamp = "%s %2d %02d:%02d:%02d ftp1 " % (MONTHS[day // 28 % 12], day % 28 + 1, clock // 3600,
                                                 clock // 60 % 60, clock % 60)
        pid = pid + 1 if pid < 4000000 else 1000
        kind = rng.random()
        address = sources[int(len(sources) * rng.random() ** 3)]
        port = rng.randrange(1024, 65536)
        if kind < 0.4:
            lines = ["CRON[%d]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)" % pid,
                     "CRON[%d]: pam_unix(cron:session): session closed for user root" % pid,
                     "sudo:   backup : PWD=/srv ; USER=root ; COMMAND=/usr/bin/rsync --server -logDtpr . /srv/data",
                     "systemd-logind[612]: New session %d of user xfer1." % pid]
        elif kind < 0.7:
            user = rng.choice(users)
            lines = ["sshd[%d]: Invalid user %s from %s port %d" % (pid, user, address, port),
                     "sshd[%d]: pam_unix(sshd:auth): check pass; user unknown" % pid,
                     "sshd[%d]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
                     "rhost=%s " % (pid, address),
                     "sshd[%d]: Failed password for invalid user %s from %s port %d ssh2" % (pid, user, address, port),
                     "sshd[%d]: Received disconnect from %s port %d:11: Bye Bye [preauth]" % (pid, address, port),
                     "sshd[%d]: Disconnected from invalid user %s %s port %d [preauth]" % (pid, user, address, port)]
        elif kind < 0.85:
            lines = ["sshd[%d]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
                     "rhost=%s  user=root" % (pid, address),
                     "sshd[%d]: Failed password for root from %s port %d ssh2" % (pid, address, port),
                     "sshd[%d]: Connection closed by authenticating user root %s port %d [preauth]" % (pid, address, port)]
        elif kind < 0.93:
            address = rng.choice(own)
            lines = ["sshd[%d]: Accepted publickey for xfer1 from %s port %d ssh2: ED25519 SHA256:Wv2bW0xUqbrPT3Qf" %
                     (pid, address, port),
                     "sshd[%d]: pam_unix(sshd:session): session opened for user xfer1(uid=20001) by (uid=0)" % pid,
                     "sshd[%d]: pam_unix(sshd:session): session closed for user xfer1" % pid]
        elif kind < 0.97:
            lines = ["sshd[812]: drop connection #0 from [%s]:%d on [192.0.2.1]:33001 penalty: failed authentication" %
                     (address, port)]
        else:
            lines = ["sshd[%d]: error: kex_exchange_identification: client sent invalid protocol identifier "
                     "\"GET / HTTP/1.1\"" % pid,
                     "sshd[%d]: banner exchange: Connection from %s port %d: invalid format" % (pid, address, port)]
        text = "".join(stamp + line + "\n" for line in lines)
        written += len(text)
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
