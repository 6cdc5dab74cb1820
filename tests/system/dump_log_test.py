#!/usr/bin/env python3
"""Kafka's own dump tool reads our folders: rolled segments while the broker runs, every segment and index after a clean stop.

Skipped where Kafka's jars or Java are not to be had (tests/compat/kafka.py).
"""
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "compat"))

from confluent_kafka import Producer  # noqa: E402

import kafka  # noqa: E402
import moldau  # noqa: E402
import wire_admin  # noqa: E402

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
RECORDS = 20000
COMPLAINTS = ("isvalid: false", "corrupt", "Corrupt", "Mismatch", "mismatch", "Non-consecutive", "Found timestamp", "out of order",
              "Exception", "not sane", "Index ", "bytes of garbage", "Could not")


def fill(port):
    """Segments of 1 MiB with every codec, keys, headers, nulls and records of many sizes, by idempotent producers."""
    for codec in CODECS:
        wire_admin.create_topic(port, f"dump-{codec}", 1, {"segment.bytes": 1048576, "index.interval.bytes": 1000})
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{port}", "compression.type": codec, "enable.idempotence": True,
                             "linger.ms": 2, "batch.num.messages": 200})
        for n in range(RECORDS):
            value = None if n % 97 == 0 else os.urandom(n % 200) + b"text " * (n % 50)
            producer.produce(f"dump-{codec}", value, key=b"%d" % n if n % 3 else None, partition=0,
                             headers=[("h", b"v" * (n % 7))] if n % 5 == 0 else None)
            producer.poll(0)
        if producer.flush(60):
            raise AssertionError(f"{codec}: not all records were acknowledged")


def files(data, pattern):
    return sorted(glob.glob(os.path.join(data, "dump-*-0", pattern)))


def remarks(err):
    """What the tool says on standard error, without Java's own warnings and without what it says of every segment that does not begin
    at 0, Kafka's own as well: "-1 is followed by" the segment's first offset."""
    lines = [line for line in err.splitlines() if line.strip() and not line.startswith(("WARNING:", "  by "))]
    kept = []
    for line in lines:
        first = re.fullmatch(r"  -1 is followed by (\d+)", line)
        if first and kept and kept[-1].endswith(f"/{int(first[1]):020}.log"):
            kept.pop()
        else:
            kept.append(line)
    return "\n".join(kept)[-2000:]


def complaint(paths, *arguments):
    """The first thing that the tool is not content with. One call for all files: starting Java is what takes long."""
    if not paths:
        return "there are no such files"
    code, out, err = kafka.dump_log(*arguments, "--files", ",".join(paths))
    if code:
        return f"exit code {code}: {err[-2000:]}"
    for line in out.splitlines():
        if any(word in line for word in COMPLAINTS):
            return line
    missed = [path for path in paths if f"Dumping {path}" not in out]
    return remarks(err) or (f"it did not look at {missed}" if missed else None)


def count(paths):
    """None if the tool finds, deeply, every record that was written."""
    _, out, _ = kafka.dump_log("--deep-iteration", "--files", ",".join(paths))
    found = sum(line.startswith("| offset:") for line in out.splitlines())
    wanted = RECORDS * len(CODECS)
    return None if found == wanted else f"{found} records, not {wanted}"


def say(name, problem):
    print(f"{'FAIL' if problem else 'PASS'} {name}", flush=True)
    if problem:
        print("    " + str(problem))
    return bool(problem)


def check(data):
    """Of a folder whose broker has stopped."""
    logs, indexes = files(data, "*.log"), files(data, "*.index") + files(data, "*.timeindex")
    failed = say("each segment has both indexes", None if len(indexes) == 2 * len(logs) else f"{len(indexes)} for {len(logs)}")
    failed |= say("every segment after a clean stop, deeply", complaint(logs, "--deep-iteration", "--print-data-log"))
    failed |= say("every record is found", count(logs))
    failed |= say("every index passes the sanity check", complaint(indexes, "--index-sanity-check"))
    failed |= say("every index agrees with its segment", complaint(indexes))
    failed |= say("every producer snapshot", complaint(files(data, "*.snapshot")))
    return failed


def spoil(path):
    """Changes one byte of a record."""
    with open(path, "r+b") as f:
        f.seek(100)
        byte = f.read(1)
        f.seek(100)
        f.write(bytes([byte[0] ^ 1]))


def main():
    moldau.binary()
    missing = kafka.missing()
    if missing:
        print(f"SKIP: {missing}")
        return 77
    with moldau.Broker() as broker:
        fill(broker.port)
        rolled = [path for codec in CODECS for path in files(broker.data, "*.log") if f"dump-{codec}-" in path]
        active = {os.path.dirname(path): path for path in rolled}  # the last of each folder
        rolled = [path for path in rolled if path not in active.values()]
        failed = say("rolled segments while the broker runs, deeply", complaint(rolled, "--deep-iteration"))
        code, _ = broker.stop()
        failed |= say("a clean stop", code and f"exit code {code}")
        failed |= check(broker.data)
        spoiled = files(broker.data, "*.log")[:1]
        spoil(spoiled[0])
        failed |= say("a changed byte is complained about", None if complaint(spoiled, "--deep-iteration") else "it is not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
