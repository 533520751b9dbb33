# SPDX-License-Identifier: Apache-2.0
"""What Longhaul is measured beside: each a way to move bytes over the link for some seconds, all from Debian.

A contender is (name, needed program, TCP congestion control or None, function(bench, link, seconds) -> Outcome).
File copiers read a file and write a file on tmpfs; iperf3 and UDT move memory. Only scp, rsync, rclone, curl and lhcp
encrypt. curl fetches (the server sends), all others send.
"""
import json
import os
import shlex
import shutil
import signal
import subprocess
import time

from rig import TOP, Run, tree_bytes


UFTP_REGISTERS = 3  # seconds at most, and 30 round trips


class Outcome:
    """Bytes of content that arrived, over how long, and what ran; `samples`: (seconds, bytes) on the way there."""

    def __init__(self, run, content, samples=(), way="ab"):
        self.run, self.content, self.samples, self.way = run, content, list(samples), way
        self.seconds = run.at_limit if run.timed_out else run.seconds
        self.failed = "" if run.timed_out or run.status == 0 else f"status {run.status}: {run.err.strip()[-160:]}"
        self.extra = {}


class Watched(Run):
    """A run whose destination folder is looked at ten times a second."""

    def __init__(self, link, command, seconds, folder, environment=None):
        self.folder, self.samples, self.next = folder, [], 0.0
        super().__init__(link, command, seconds, environment)
        if not self.timed_out:
            self.samples.append((self.seconds, tree_bytes(folder)))

    def on_tick(self, elapsed):
        if elapsed >= self.next:
            self.next = elapsed + 0.1
            self.samples.append((elapsed, tree_bytes(self.folder)))
            self.on_sample(elapsed, self.samples[-1][1])

    def on_sample(self, elapsed, size):
        """Called with what has arrived."""

    def on_limit(self):
        self.samples.append((self.at_limit, tree_bytes(self.folder)))


class Copier(Watched):
    """Has `seconds` from its first byte on, as lhcp has by the size of the file, and as long for logging in. One with
    CUBIC that has next to nothing by then is stopped after a look: it will not get faster. `registers`: seconds that it
    may need for something like a login beyond that."""

    LOOK, HOPELESS = 4.0, 0.03  # seconds from the first byte; share of the link

    def __init__(self, bench, link, command, seconds, folder, environment=None, registers=0.0):
        self.for_data, self.first, self.stopped = seconds, None, False
        self.hopeless = self.LOOK * self.HOPELESS * bench.rate * 1e6 / 8 if bench.congestion == "cubic" else 0
        super().__init__(link, command, seconds + registers, folder, environment)

    def on_sample(self, elapsed, size):
        if size > 0 and self.first is None:
            self.first, self.limit = elapsed, elapsed + self.for_data
        if elapsed >= self.LOOK + (self.first or 0.0) and size < self.hopeless:
            self.stopped, self.limit = self.limit > elapsed, min(self.limit, elapsed)


def arrived(bench, run, way="ab"):
    outcome = Outcome(run, run.samples[-1][1], run.samples, way)
    if run.status == 0 and not run.timed_out and outcome.content < os.path.getsize(bench.source):
        outcome.failed = f"only {outcome.content} bytes arrived"
    return outcome


def copied(bench, link, command, seconds, folder, way="ab", environment=None):
    run = Copier(bench, link, command, seconds, folder, environment)
    outcome = arrived(bench, run, way)
    if run.stopped:
        outcome.extra["stopped_at"] = round(run.at_limit, 1)
    return outcome


def scp(bench, link, seconds):
    folder = bench.fresh_destination("peer")
    return copied(bench, link, ["scp", "-q", "-P", bench.port, *bench.ssh_options(link), bench.source,
                                bench.target(link, "peer/")], seconds, folder)


def rsync(bench, link, seconds):
    folder = bench.fresh_destination("peer")
    shell = " ".join(["ssh", "-p", bench.port, *bench.ssh_options(link)])
    return copied(bench, link, ["rsync", "--whole-file", "--inplace", "-e", shell, bench.source,
                                bench.target(link, "peer/")], seconds, folder)


def rclone(bench, link, seconds):
    folder = bench.fresh_destination("peer")
    environment = {**os.environ, "RCLONE_CONFIG": "/dev/null", "RCLONE_SFTP_HOST": link.address,
                   "RCLONE_SFTP_PORT": bench.port, "RCLONE_SFTP_USER": bench.user, "RCLONE_SFTP_KEY_FILE": bench.key,
                   "RCLONE_SFTP_KNOWN_HOSTS_FILE": link.known, "RCLONE_SFTP_DISABLE_HASHCHECK": "true",
                   "RCLONE_SFTP_SET_MODTIME": "false", "RCLONE_SFTP_CHUNK_SIZE": "255Ki",
                   "RCLONE_SFTP_CONCURRENCY": "64"}
    return copied(bench, link, ["rclone", "copyto", bench.source, ":sftp:" + os.path.join(folder, "file")], seconds,
                  folder, environment=environment)


def make_certificate(key, cert):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=bench", "-keyout", key, "-out", cert], check=True, capture_output=True)


def write_nginx(bench, link, folder):
    key, cert, config = (os.path.join(folder, name) for name in ("key.pem", "cert.pem", "nginx.conf"))
    make_certificate(key, cert)
    with open(config, "w", encoding="ascii") as file:
        file.write(f"daemon off; user root; worker_processes 1; pid {folder}/pid; error_log {folder}/error;\n"
                   "events {} http { access_log off; sendfile on;\n"
                   f" client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};\n"
                   f" uwsgi_temp_path {folder}; scgi_temp_path {folder};\n"
                   f" server {{ listen {link.address}:8443 ssl; ssl_certificate {cert}; ssl_certificate_key {key};\n"
                   f"  ssl_protocols TLSv1.3; root {os.path.dirname(bench.source)}; }} }}\n")
    return config


def curl(bench, link, seconds):
    folder = os.path.join(bench.work, "nginx")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "got"))
    config = write_nginx(bench, link, folder)
    server = subprocess.Popen(link.end_b + ["nginx", "-c", config, "-e", os.path.join(folder, "error")])
    try:
        wait_for_port(link, 8443)
        return copied(bench, link, ["curl", "-sSk", "-o", os.path.join(folder, "got/file"),
                                    f"https://{link.address}:8443/{os.path.basename(bench.source)}"], seconds,
                      os.path.join(folder, "got"), way="ba")
    finally:
        end(server)


def tls(bench, link, seconds):
    """TCP and TLS 1.3 and nothing else: what a byte costs at least that way."""
    folder = bench.fresh_destination("peer")
    key, cert = (os.path.join(bench.work, name) for name in ("tls.key", "tls.cert"))
    make_certificate(key, cert)
    with open(os.path.join(folder, "file"), "wb") as got:
        server = subprocess.Popen(link.end_b + ["openssl", "s_server", "-accept", "8444", "-key", key, "-cert", cert,
                                                "-tls1_3", "-quiet", "-naccept", "1"],
                                  stdin=subprocess.PIPE, stdout=got, stderr=subprocess.DEVNULL)  # at its end it spins
    try:
        wait_for_port(link, 8444)
        options = "-quiet -no_ign_eof -nocommands -verify_quiet"
        command = f"exec openssl s_client -connect {link.address}:8444 {options} < {shlex.quote(bench.source)}"
        return copied(bench, link, ["sh", "-c", command], seconds, folder)
    finally:
        end(server)


def iperf3(_, link, seconds):
    server = subprocess.Popen(link.end_b + ["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(link, 5201)
        run = Run(link, ["iperf3", "-J", "-c", link.address, "-t", str(seconds)], seconds + 15)
    finally:
        end(server)
    said = json.loads(run.out) if run.status == 0 else {}
    received = said.get("end", {}).get("sum_received", {})
    samples, total = [(0.0, 0)], 0
    for interval in said.get("intervals", []):
        total += interval["sum"]["bytes"]
        samples.append((interval["sum"]["end"], total))
    outcome = Outcome(run, received.get("bytes", 0), samples)
    outcome.seconds = received.get("seconds", outcome.seconds) or outcome.seconds
    return outcome


def udt(bench, link, seconds):
    server = subprocess.Popen(link.end_b + [bench.udt_copy, "receive", "5004"], stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.3)
        run = Run(link, [bench.udt_copy, "send", link.address, "5004", str(seconds)], seconds + 15)
        try:
            out, _ = server.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            out = ""
    finally:
        end(server)
    said = json.loads(out) if out.strip() else {"bytes": 0, "seconds": seconds}
    outcome = Outcome(run, said["bytes"])
    outcome.seconds = said["seconds"] or seconds
    if not said["bytes"]:
        outcome.failed = "nothing arrived " + run.err.strip()[-100:]
    return outcome


def right_share(source, path, piece=512):
    """How much of the file at `path` is the source's content: uftp writes at any offset, and its holes are no content."""
    right = size = 0
    with open(source, "rb") as wanted, open(path, "rb") as got:
        while theirs := got.read(1 << 20):
            ours = wanted.read(len(theirs))
            size += len(theirs)
            right += len(ours) if ours == theirs else sum(
                len(ours[at:at + piece]) for at in range(0, len(ours), piece) if ours[at:at + piece] == theirs[at:at + piece])
    return right / size if size else 0.0


def without_holes(bench, outcome, folder):
    """Counts only what is right at the end; what was seen on the way there is taken down by the same share."""
    share = max((right_share(bench.source, os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names),
                default=0.0)
    outcome.content = int(outcome.content * share)
    outcome.samples = [(at, int(size * share)) for at, size in outcome.samples]
    outcome.extra["right_percent"] = round(100 * share, 2)


def uftp(bench, link, seconds, arguments):
    folder = os.path.join(bench.work, "uftp")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    server = subprocess.Popen(link.end_b + ["uftpd", "-d", "-q", "-I", "wan0", "-D", folder, "-B", str(8 << 20)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        run = Copier(bench, link, ["uftp", "-q", "-I", "wan0", "-M", link.address, "-P", link.address, "-Y", "none", "-r",
                                   f"{1.2 * bench.rtt + 0.02:.3f}", "-b", "1440", "-B", str(8 << 20), *arguments,
                                   bench.source], seconds, folder, registers=UFTP_REGISTERS + 30 * bench.rtt)
        outcome = arrived(bench, run)
        without_holes(bench, outcome, folder)  # before it ends: it takes what is not complete away
    finally:
        end(server)
    outcome.extra["registering_seconds"] = round(next((at for at, size in outcome.samples if size > 0), 0.0), 2)
    return outcome


def uftp_fixed(bench, link, seconds):
    # Its own headers and IP's come on top of the rate that it is told.
    return uftp(bench, link, seconds, ["-R", str(int(bench.rate * 1000 * 0.95))])


def uftp_tfmcc(bench, link, seconds):
    return uftp(bench, link, seconds, ["-R", str(bench.rate * 1000), "-C", "tfmcc"])


def lhcp(bench, link, seconds, arguments=()):
    """Longhaul itself: until its file is there, at most three times `seconds`. With its trace, for what only it knows."""
    folder = bench.fresh_destination("lhcp")
    trace = os.path.join(bench.work, "trace.jsonl")
    run = Watched(link, bench.lhcp(link, "--trace", trace, *arguments, bench.source, bench.target(link, "lhcp/")),
                  3 * seconds + 20, folder)
    outcome = Outcome(run, os.path.getsize(bench.source) if run.status == 0 else run.samples[-1][1], run.samples)
    said = run.last_json()
    for name in ("bytes_sent", "bytes_retransmitted", "bytes_udp", "bytes_ssh", "rtt_us", "bottleneck", "cipher"):
        if name in said:
            outcome.extra[name] = said[name]
    outcome.samples = progress(run)
    outcome.extra.update(from_trace(trace))
    if run.status == 0 and not bench.same(bench.source, os.path.join(folder, os.path.basename(bench.source))):
        outcome.failed = "the file differs"
    return outcome


def progress(run):
    """What lhcp --json said on the way: (seconds, bytes)."""
    return [(s["elapsed_ms"] / 1000, s["bytes_done"]) for s in run.json_lines()
            if s.get("type") == "progress" and s.get("phase") == "transferring"]


def from_trace(path):
    """Content received twice as a share of all, and the median of the sender's own queue estimate."""
    queues, content, again = [], 0, 0
    try:
        with open(path, encoding="ascii") as file:
            for line in file:
                event = json.loads(line)
                if event["event"] == "sent" and event["lane"] != 0:
                    queues.append(event["queue"])
                elif event["event"] == "received":
                    content, again = max(content, event["content"]), max(again, event.get("content_again", 0))
    except (OSError, ValueError, KeyError):
        return {}
    found = {"again_percent": round(100 * again / content, 3)} if content else {}
    if queues:
        found["own_queue_ms"] = round(sorted(queues)[len(queues) // 2] / 1e6, 2)
    return found


def wait_for_port(link, port, seconds=5):
    """Until somebody listens at the far end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        out = subprocess.run(link.end_b + ["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, check=False)
        if out.stdout.strip():
            return
        time.sleep(0.05)
    raise SystemExit(f"bench: nobody listens on port {port}")


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def both(name, program, function):
    return [(f"{name} {cc}", program, cc, function) for cc in ("cubic", "bbr")]


CONTENDERS = [
    ("lhcp", None, None, lhcp),
    ("lhcp high", None, None, lambda bench, link, seconds: lhcp(bench, link, seconds, ["--policy", "high"])),
    *both("scp", "scp", scp),
    *both("rsync", "rsync", rsync),
    *both("rclone", "rclone", rclone),
    *both("curl", "nginx", curl),
    ("tls", "openssl", "bbr", tls),
    *both("iperf3", "iperf3", iperf3),
    ("udt", "udt_copy", None, udt),
    ("uftp, fixed rate", "uftpd", None, uftp_fixed),
    ("uftp, tfmcc", "uftpd", None, uftp_tfmcc),
]

FOR_COST = {"tls"}  # measured for their processor time: only where nothing is lost


def is_there(bench, program):
    if program == "udt_copy":
        return bench.udt_copy is not None
    return program is None or shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is not None


def build_udt(folder):
    """The driver for libudt, compiled here and now: nothing else of ours needs C++. None where it cannot be."""
    program = os.path.join(folder, "udt_copy")
    if shutil.which("g++") is None or not os.path.exists("/usr/include/udt/udt.h"):
        return None
    done = subprocess.run(["g++", "-O2", "-o", program, os.path.join(TOP, "bench/udt_copy.cpp"), "-ludt", "-lpthread"],
                          capture_output=True, check=False)
    return program if done.returncode == 0 else None
