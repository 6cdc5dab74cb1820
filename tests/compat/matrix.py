"""A text goes in line by line through one client and must come back byte for byte through another.

Prints one line for each transfer: PASS, FAIL or SKIP with its name, as tests/run reads it.
"""
import subprocess
import time

import clients
import wire_admin

START_SECONDS = 30  # of a client
SLOWEST = 500 * 1000  # bytes a second
CHUNK = 1 << 20


class Text:
    def __init__(self, path):
        self.path = path
        self.lines = self.bytes = 0
        with open(path, "rb") as f:
            while chunk := f.read(CHUNK):
                self.bytes += len(chunk)
                self.lines += chunk.count(b"\n")


class Matrix:
    """Transfers to and from one broker. Topics are made through `create`, a function of a name; `ended` says that it is no use to go on."""

    def __init__(self, bootstrap, text, create, label="", ended=lambda: False):
        self.bootstrap, self.text, self.create, self.label, self.ended = bootstrap, text, create, label, ended
        self.failed = 0
        self.seconds = START_SECONDS + text.bytes // SLOWEST  # for one transfer

    def say(self, name, problem, seconds):
        self.failed += problem is not None
        verdict = "FAIL" if problem else "PASS"
        print(f"{verdict} {self.label}{name}", flush=True)
        rate = self.text.bytes / 1e6 / max(seconds, 1e-3)
        print(f"    {problem}" if problem else f"    {seconds:.1f} s, {rate:.0f} MB/s", flush=True)
        return problem is None

    def produce(self, client, codec, topic):
        self.create(topic)
        began = time.monotonic()
        with open(self.text.path, "rb") as lines:
            try:
                done = subprocess.run(client.producer(self.bootstrap, topic, codec, self.text.lines), stdin=lines,
                                      capture_output=True, timeout=self.seconds, check=False)
            except subprocess.TimeoutExpired:
                return self.say(f"{client.name} produces {codec}", f"not done after {self.seconds} s", self.seconds)
        problem = None
        if done.returncode:
            problem = f"exit code {done.returncode}: {(done.stderr or done.stdout).decode(errors='replace').strip()[-2000:]}"
        return self.say(f"{client.name} produces {codec}", problem, time.monotonic() - began)

    def compare(self, out):
        """The first difference between what a client prints and the text."""
        at = 0
        with open(self.text.path, "rb") as text:
            while chunk := out.read(CHUNK):
                wanted = text.read(len(chunk))
                if chunk != wanted:
                    same = next((i for i, (a, b) in enumerate(zip(chunk, wanted)) if a != b), min(len(chunk), len(wanted)))
                    return f"differs at byte {at + same} of {self.text.bytes}: {chunk[same:same + 60]!r}, not {wanted[same:same + 60]!r}"
                at += len(chunk)
        return None if at == self.text.bytes else f"ends at byte {at} of {self.text.bytes}"

    def consume(self, client, codec, topic, producer):
        name = f"{client.name} reads {codec} of {producer}"
        began = time.monotonic()
        command = client.consumer(self.bootstrap, topic, codec, self.text.lines)
        process = subprocess.Popen(["timeout", str(self.seconds), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        problem = self.compare(process.stdout)
        if problem:
            process.terminate()
        _, complaint = process.communicate()
        if process.returncode and not problem:
            problem = f"exit code {process.returncode}"
        if problem and complaint:
            problem += ": " + complaint.decode(errors="replace").strip()[-2000:]
        return self.say(name, problem, time.monotonic() - began)

    def run(self, producers, consumers, reader=None, source=None, codecs=clients.CODECS):
        """Every producer with every consumer; with `reader` and `source`, each producer with one consumer and each consumer with one producer."""
        if "JoinGroup" not in wire_admin.apis(int(self.bootstrap.rpartition(":")[2])):
            for client in consumers:
                if client.in_group:
                    print(f"SKIP {self.label}{client.name} reads: the broker has no groups", flush=True)
            consumers = [client for client in consumers if not client.in_group]
        for codec in codecs:
            for producer in producers:
                if self.ended():
                    self.say("the broker runs", "it ended", 0)
                    return self.failed
                topic = f"text-{producer.name}-{codec}"
                if not self.produce(producer, codec, topic):
                    continue
                for consumer in consumers:
                    if not self.ended() and (reader is None or consumer is reader or producer is source):
                        self.consume(consumer, codec, topic, producer.name)
        return self.failed


def split(found):
    """Those that produce and those that consume; the missing are said to be skipped."""
    for client in found:
        if client.missing:
            print(f"SKIP {client.name}: {client.missing}", flush=True)
    here = [client for client in found if not client.missing]
    return [c for c in here if c.producer], [c for c in here if c.consumer]
