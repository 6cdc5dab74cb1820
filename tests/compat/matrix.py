"""A text goes in line by line through one client and must come back byte for byte through another.

Prints a line for each transfer, PASS, FAIL or SKIP with its name, as tests/run reads it, and below it what it took. A transfer may take as
long as it likes while something moves: lines that come out of a reader, the end of the topic that a producer writes.
"""
import concurrent.futures
import fcntl
import os
import select
import subprocess
import tempfile
import threading
import time

import clients
import wire_admin

STALL_SECONDS = 60  # nothing moved for so long: it has failed, unless --patience says otherwise
ASK_SECONDS = 1  # how often a topic is asked for its end
CHUNK = 1 << 20


class Text:
    def __init__(self, path):
        self.path = path
        self.lines = self.bytes = 0
        with open(path, "rb") as f:
            while chunk := f.read(CHUNK):
                self.bytes += len(chunk)
                self.lines += chunk.count(b"\n")


class Running:
    """A client at work; what it complains of goes to a file, so that it never waits for us to read that."""

    def __init__(self, command, stdin, stdout):
        self.complaints = tempfile.TemporaryFile()
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, stdin=stdin, stdout=stdout or self.complaints, stderr=self.complaints)
        self.processor_seconds = 0.0

    def ended(self, seconds=0.0):
        """Its end, waited for; what the processor worked for it is known then."""
        until = time.monotonic() + seconds
        while self.process.returncode is None:
            pid, status, used = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                self.processor_seconds = used.ru_utime + used.ru_stime
            elif time.monotonic() >= until:
                return False
            else:
                time.sleep(0.005)
        return True

    def close(self, problem, patience):
        """Ends it when it runs yet. What was wrong with it, in its own words where it has some; None for nothing."""
        if not self.ended(0 if problem else patience):
            problem = problem or f"still runs {patience} s after its last line"
            self.process.kill()
            self.ended(patience)
        elif self.process.returncode and not problem:
            problem = f"exit code {self.process.returncode}"
        self.complaints.seek(0)
        words = self.complaints.read().decode(errors="replace").strip()[-2000:]
        self.complaints.close()
        return f"{problem}: {words}" if problem and words else problem


class Matrix:
    """Transfers to and from one broker. Topics are made through `create`, a function of a name, and go through `remove` when all have
    read them; `ended` says that it is no use to go on."""

    def __init__(self, bootstrap, text, create, label="", ended=lambda: False, remove=lambda name: None, jobs=1,
                 patience=STALL_SECONDS):
        self.bootstrap, self.text, self.create, self.label, self.ended = bootstrap, text, create, label, ended
        self.remove, self.jobs, self.patience = remove, jobs, patience
        self.port = int(bootstrap.rpartition(":")[2])
        self.failed = 0
        self.lock = threading.Lock()

    def say(self, name, problem, client=None):
        seconds = time.monotonic() - client.began if client else 0
        took = f"{seconds:.1f} s, {client.processor_seconds:.1f} s of the processor" if client else ""
        with self.lock:
            self.failed += problem is not None
            print(f"{'FAIL' if problem else 'PASS'} {self.label}{name}\n    {problem or took}", flush=True)
        return problem is None

    def watch(self, client, topic):
        """Until a producer ends, or the end of its topic stands still."""
        end, moved = 0, time.monotonic()
        while not client.ended(ASK_SECONDS):
            now = wire_admin.offsets(self.port, topic, 1)[0]
            if now != end:
                end, moved = now, time.monotonic()
            elif time.monotonic() - moved > self.patience:
                return f"nothing came for {self.patience} s after record {end} of {self.text.lines}"
        return None

    def produce(self, client, codec, topic):
        self.create(topic)
        with open(self.text.path, "rb") as lines:
            running = Running(client.producer(self.bootstrap, topic, codec, self.text.lines), lines, None)
            try:
                problem = self.watch(running, topic)
            except (OSError, RuntimeError) as failure:
                problem = f"the broker does not say where the topic ends: {failure}"
            return self.say(f"{client.name} produces {codec}", running.close(problem, self.patience), running)

    def compare(self, out):
        """The first difference between what a client prints and the text."""
        at = 0
        fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, CHUNK)
        with open(self.text.path, "rb") as text:
            while True:
                if not select.select([out], [], [], self.patience)[0]:
                    return f"nothing came for {self.patience} s after byte {at} of {self.text.bytes}"
                chunk = os.read(out.fileno(), CHUNK)
                if not chunk:
                    return None if at == self.text.bytes else f"ends at byte {at} of {self.text.bytes}"
                wanted = text.read(len(chunk))
                if chunk != wanted:
                    same = next((i for i, (a, b) in enumerate(zip(chunk, wanted)) if a != b), min(len(chunk), len(wanted)))
                    return f"differs at byte {at + same} of {self.text.bytes}: {chunk[same:same + 60]!r}, not {wanted[same:same + 60]!r}"
                at += len(chunk)

    def consume(self, client, codec, topic, producer):
        running = Running(client.consumer(self.bootstrap, topic, codec, self.text.lines), subprocess.DEVNULL, subprocess.PIPE)
        with running.process.stdout as out:
            problem = self.compare(out)
            problem = running.close(problem, self.patience)
        return self.say(f"{client.name} reads {codec} of {producer}", problem, running)

    def write_and_read(self, producer, readers, codec):
        """One producer, then one after the other those that read what it wrote."""
        topic = f"text-{producer.name}-{codec}".replace(" ", "")
        if self.ended():
            self.say(f"{producer.name} produces {codec}", "the broker ended before")
        elif self.produce(producer, codec, topic):
            for reader in readers:
                if not self.ended():
                    self.consume(reader, codec, topic, producer.name)
        if not self.ended():
            self.remove(topic)

    def run(self, producers, consumers, reader=None, source=None, codecs=clients.CODECS):
        """Every producer with every consumer; with `reader` and `source`, each producer with one consumer and each consumer with one producer."""
        if "JoinGroup" not in wire_admin.apis(self.port):
            for client in consumers:
                if client.in_group:
                    print(f"SKIP {self.label}{client.name} reads: the broker has no groups", flush=True)
            consumers = [client for client in consumers if not client.in_group]
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            started = [pool.submit(self.write_and_read, producer,
                                   [c for c in consumers if reader is None or c is reader or producer is source], codec)
                       for codec in codecs for producer in producers]
            for transfers in started:
                transfers.result()
        return self.failed


def split(found):
    """Those that produce and those that consume; the missing are said to be skipped."""
    for client in found:
        if client.missing:
            print(f"SKIP {client.name}: {client.missing}", flush=True)
    here = [client for client in found if not client.missing]
    return [c for c in here if c.producer], [c for c in here if c.consumer]
