"""A script of calls of Kafka's own command-line tools (tools/calls.txt), run in one JVM (tools/Driver.java) against any broker.

    tools_script.py --record       runs it against the real Kafka, whose answers become transcripts/tools.txt
    tools_script.py --live         runs both now and compares
    tools_script.py                runs our side and compares with the transcript; exit code 77 where there is no JDK or no jars

What differs in every run (ids, ports, folders, times, sizes of disks) is masked; what is one unordered set is sorted. A difference that is wanted is
named in WANTED, with its reason.
"""
import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
import kafka as peer  # noqa: E402
import moldau  # noqa: E402

CALLS = os.path.join(HERE, "tools", "calls.txt")
DRIVER = os.path.join(HERE, "tools", "Driver.java")
TRANSCRIPT = os.path.join(HERE, "transcripts", "tools.txt")
PAUSE_MS = 400  # Kafka shows a change a moment after it said that it is done

FILES = {
    "quick.properties": "default.api.timeout.ms=2000\nrequest.timeout.ms=1000\n",
    "topic.properties": "flush.messages=77\nretention.ms=8000\n",
    "delete.json": '{"partitions": [{"topic": "t6", "partition": 0, "offset": 1}, {"topic": "t3", "partition": 1, "offset": 0}], "version": 1}',
    "delete-all.json": '{"partitions": [{"topic": "t6", "partition": 0, "offset": -1}, {"topic": "t3", "partition": 1, "offset": -1}], "version": 1}',
    "delete-beyond.json": '{"partitions": [{"topic": "t6", "partition": 0, "offset": 1000}], "version": 1}',
    "delete-compacted.json": '{"partitions": [{"topic": "t2", "partition": 0, "offset": 0}], "version": 1}',
    "elect.json": '{"partitions": [{"topic": "t1", "partition": 0}, {"topic": "t3", "partition": 1}]}',
    "reassign.json": '{"version": 1, "partitions": [{"topic": "t1", "partition": 0, "replicas": [1]}]}',
    "reassign-bad.json": '{"version": 1, "partitions": [{"topic": "t1", "partition": 0, "replicas": [7]}]}',
    "offsets.csv": "ga,0,0\nga,1,99\ngb,0,2\n",
    "offsets-of-two.csv": "new,gb,0,1\nother,gb,0,2\n",
    "offsets-bad.csv": "gb,x,2\n",
    "topics.json": '{"version": 1, "topics": [{"topic": "t1"}]}',
}

# Calls (by their text) whose answers differ, and why.
WANTED = {
    "topics --describe --topics-with-overrides": "with eligible leader replicas Kafka has min.insync.replicas set for every topic",
}
# Of ours, or newer than the Kafka that answered; and what its clusters have set with eligible leader replicas.
SETTINGS = ("errors.deadletterqueue.group.enable", "max.decompressed.message.bytes", "remote.copy.lag.bytes", "remote.copy.lag.ms", "write.caching",
            "min.insync.replicas")

MASKS = [(re.compile(pattern), text) for pattern, text in (
    (r"127\.0\.0\.1:\d+", "HOST:PORT"), (r"TopicId: [\w-]{22}", "TopicId: ID"), (r"/(?:tmp|root|home)/[^\s\"',;)\]]+", "FOLDER"),
    (r"\[?20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^ \]]*\]?", "TIME"), (r'"(totalBytes|usableBytes|size)":[1-9]\d*', r'"\1":N'), (r"\d+ ms ago", "N ms ago"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"(Valid (?:state|type)s are|of the following scenarios|these options|the following options): .*", r"\1: ..."), (r"throttle-\w+|thread-\d+", "THREAD"), (r"\b1[6-9]\d{11}\b", "MS"), (r"ClusterId: +\S+", "ClusterId: ID"), (r"^(\d+\s+A{22}\s+)\d+", r"\1N"),
    (r"(?<![\w-])(?!A{22})[\w-]{21}[AQgw](?![\w-])", "MEMBER"), (r"[ \t]+", " "))]
STACK = re.compile(r"\s+at [\w.$/]+[(<]")


def calls(port=None, path=CALLS):
    """The script; without what stands between "#if KEY" and "#end" where the broker at `port` does not know that API."""
    known, wanted, script = None, True, []
    if port:
        with moldau.Connection(port) as c:
            known = {api["ApiKey"] for api in c.ask("ApiVersions", 0, {})["ApiKeys"]}
    with open(path, encoding="utf-8") as lines:
        for line in map(str.strip, lines):
            if line.startswith("#if "):
                wanted = known is None or int(line[4:]) in known
            elif line == "#end":
                wanted = True
            elif line and wanted and not line.startswith("#"):
                script.append(line)
    return script


def arguments_of(call, bootstrap, folder):
    tool, *words = call.replace("{folder}", folder).split(" ")
    return [tool, "--bootstrap-server", bootstrap, *words]


def masked(text):
    """
    Lines without what differs in every run, and sorted where Kafka's order is that of a hash table: all of them, since tools print sets. Without
    the list of options, which is the tool's own.
    """
    lines = []
    for line in text.splitlines():
        if STACK.match(line):
            continue
        if re.match(r"Option( \(\* = required\))? +Description", line):
            break
        for pattern, to in MASKS:
            line = pattern.sub(to, line)
        if not line.strip() or line.strip().startswith(SETTINGS):
            continue
        match = re.search(r"Configs: (\S+)$", line)
        if match:
            line = line[:match.start(1)] + ",".join(sorted(c for c in match[1].split(",") if not c.startswith(SETTINGS)))
        lines.append(line.rstrip())
    return sorted(lines)


def run(bootstrap, pause_ms, script_path=CALLS):
    """[(call, exit code, masked lines)]"""
    script = calls(int(bootstrap.split(":")[1]), script_path)
    with tempfile.TemporaryDirectory(prefix="moldau-tools-") as folder:
        for name, text in FILES.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(text)
        path = os.path.join(folder, "calls")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines("\t".join(arguments_of(call, bootstrap, folder)) + "\n" for call in script)
        command = [peer.java(), "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dfile.encoding=UTF-8",
                   f"-Dlog4j2.configurationFile={peer.LOG4J}", "-cp", os.path.join(peer.jars(), "*"), DRIVER, path, str(pause_ms)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    parts = re.split(r"^#### (\d+) (-?\d+)\n", done.stdout, flags=re.M)[1:]
    if len(parts) // 3 != len(script):
        raise SystemExit(f"the tools ended early, after {len(parts) // 3} calls:\n{done.stderr[-3000:]}\n{done.stdout[-2000:]}")
    return [(script[i], int(parts[3 * i + 1]), masked(parts[3 * i + 2])) for i in range(len(script))]


def write(results, path):
    with open(path, "w", encoding="utf-8") as f:
        for call, code, lines in results:
            f.write(f"$ {call}\n" + "".join(f"  {line}\n" for line in lines) + f"= {code}\n")


def read(path):
    results, lines, call = [], [], None
    with open(path, encoding="utf-8") as text:
        for line in text:
            if line.startswith("$ "):
                call, lines = line[2:].rstrip("\n"), []
            elif line.startswith("= "):
                results.append((call, int(line[2:]), lines))
            else:
                lines.append(line[2:].rstrip("\n"))
    return results


def matching(results, script):
    """Those of the results that are of these calls, in their order: each call is one of them, from left to right."""
    rest = iter(results)
    return [next(r for r in rest if r[0] == call) for call in script]


def compare(kafka, ours, out=print, wanted=None, path=CALLS):
    """How many calls differ that should not; `wanted` is calls to the reason why they differ."""
    failed, wanted = 0, WANTED if wanted is None else wanted
    if [r[0] for r in kafka] != calls(path=path):
        out("the transcript is of other calls: record it anew")
        return 1
    kafka = matching(kafka, [r[0] for r in ours])
    for (call, code, lines), (_, own_code, own_lines) in zip(kafka, ours):
        same = code == own_code and lines == own_lines
        if same == (call not in wanted):
            continue
        failed += 1
        out(f"{call}: exit code {code} from Kafka, {own_code} from Moldau" if not same else f"{call}: no longer differs; take it out of WANTED")
        for line in list(difflib.unified_diff(lines, own_lines, "Kafka", "Moldau", lineterm="", n=0))[:20]:
            out(f"    {line[:300]}")
    out(f"{len(kafka)} calls, {len(wanted)} differ and should, {failed} differ and should not")
    return failed


def run_ours():
    with moldau.Broker({"node.id": 1}) as broker:
        return run(f"127.0.0.1:{broker.port}", 0)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--record", action="store_true")
    options.add_argument("--live", action="store_true")
    options = options.parse_args()
    if peer.missing():
        print(f"SKIP: {peer.missing()}")
        return 77
    kafka = read(TRANSCRIPT) if os.path.exists(TRANSCRIPT) else None
    if options.record or options.live:
        with peer.Kafka() as real:
            kafka = run(real.address, PAUSE_MS)
    if options.record:
        os.makedirs(os.path.dirname(TRANSCRIPT), exist_ok=True)
        write(kafka, TRANSCRIPT)
        return 0
    return 1 if compare(kafka, run_ours()) else 0


if __name__ == "__main__":
    sys.exit(main())
