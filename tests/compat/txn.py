#!/usr/bin/env python3
"""Transactions under kill -9, by other people's clients: txn.py [--against moldau|kafka|both] [--core] [--seed N] [WORD,...]

Copy: two workers of one group copy a topic to another, a transaction every 100 ms; now and then one of them, or the broker, is killed with -9
and started again. At the end the copy, read committed, is the original exactly: nothing twice, nothing missing.
Play: three workers write to and read from a few partitions at random and take back every seventh transaction, under the same kills.
What all of them said is judged by txn_check.py.
Kafka's own TransactionalMessageCopier, VerifiableProducer and VerifiableConsumer have a story of their own (txn_copier.py).
"""
import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system")]

import brokers  # noqa: E402
import clients  # noqa: E402
import groups  # noqa: E402
import members  # noqa: E402
import moldau  # noqa: E402
import txn_check  # noqa: E402
import txn_copier  # noqa: E402
import wire  # noqa: E402
import wire_admin  # noqa: E402

IN_PARTITIONS, OUT_PARTITIONS = 4, 3
COMMIT_MS, PER_TXN = 100, 100
TIMEOUT_MS = 20000  # of a transaction whose worker does not come back
SESSION_MS = 6000
DONE_SECONDS = 120
IN_VAIN = 3  # a worker that wants a successor
BETWEEN = 3, 12  # transactions from one kill to the next
BROKER = {"group.initial.rebalance.delay.ms": 0, "offsets.topic.num.partitions": 4, "transaction.state.log.num.partitions": 4}



def franz():
    path, missing = clients.build_go()
    return ([path, "franz", "worker"], None) if path else (None, missing)


def ours():
    """The worker over libmoldau, made against the library beside the binary under test."""
    folder = os.path.dirname(moldau.binary())
    library, compiler = os.path.join(folder, "libmoldau.so"), shutil.which("cc")
    if not compiler or not os.path.exists(library):
        return None, "no C compiler" if not compiler else "libmoldau.so is not built"
    shown = subprocess.run(["nm", "-D", library], capture_output=True, text=True, check=True).stdout
    sanitized = ["-fsanitize=address,undefined"] if "__asan" in shown else []
    program = os.path.join(clients.BUILD, "txn_worker" + ("_sanitized" if sanitized else ""))
    done = subprocess.run([compiler, "-std=gnu11", "-O1", "-Wall", "-Werror", *sanitized, "-I", os.path.join(clients.ROOT, "include"),
                           os.path.join(HERE, "c", "worker.c"), "-L", folder, "-lmoldau", "-ljansson", f"-Wl,-rpath,{folder}", "-o", program],
                          capture_output=True, text=True, check=False)
    return ([program], None) if done.returncode == 0 else (None, f"worker.c does not compile: {done.stderr[-500:]}")


BUILDERS = {
    "moldau": ours,
    "librdkafka": members.python_command("confluent_worker.py", "confluent_kafka"),
    "java": lambda: members.java_program("Worker"),
    "franz": franz,
    "TransactionalMessageCopier": txn_copier.tools,
}


# --- a topic of known records

def produce(port, topic, partitions, count):
    """Numbers from 0 on, in turn to each partition; as events of a history."""
    events, batch = [], 500
    with moldau.Connection(port) as connection:
        for first in range(0, count, batch * partitions):
            for p in range(partitions):
                values = [str(v) for v in range(first + p, min(first + batch * partitions, count), partitions)]
                if values:
                    events += append(connection, topic, p, values)
    return events


def append(connection, topic, partition, values):
    data = wire.batch([v.encode() for v in values], timestamp=int(time.time() * 1000))
    end = time.monotonic() + 60
    while True:
        answer = connection.ask("Produce", 8, wire.produce(topic, [partition], data))["Responses"][0]["PartitionResponses"][0]
        if not answer["ErrorCode"]:
            break
        if answer["ErrorCode"] not in groups.NOT_YET or time.monotonic() > end:
            raise groups.Wrong(f"not produced: {answer}")
    key, base = f"{topic}-{partition}", answer["BaseOffset"]
    return [event for i, value in enumerate(values)
            for event in ({"t": 0, "p": "driver", "e": "send", "txn": None, "k": key, "v": value},
                          {"t": 0, "p": "driver", "e": "sent", "txn": None, "k": key, "v": value, "o": base + i})]


# --- one run

class Run:
    def __init__(self, broker, name, kinds, commands, seed):
        self.broker, self.name, self.kinds, self.commands = broker, name, kinds, commands
        self.random = random.Random(seed)
        self.heard = threading.Condition()
        self.everybody, self.present, self.committed = [], [], 0
        self.events = []  # beside what the workers say
        self.between = BETWEEN
        self.kills = {"worker": 0, "broker": 0, "successor": 0}
        self.restarted_seconds = []

    def worker(self, number):
        """The worker of that number, or its successor."""
        kind = self.kinds[number % len(self.kinds)]
        name = f"{self.name}-{number}-{len(self.everybody)}"
        config = {"bootstrap": f"127.0.0.1:{self.broker.port}", "txn_id": f"{self.name}-{number}", "commit_ms": COMMIT_MS, "per_txn": PER_TXN,
                  "timeout_ms": TIMEOUT_MS, "session_ms": SESSION_MS, **self.config()}
        found = members.Member(name, kind, self.commands[kind], config, self.heard)
        found.number, found.counted = number, 0
        self.everybody.append(found)
        return found

    def start(self, count):
        self.present = [self.worker(number) for number in range(count)]

    def succeed(self, index):
        self.present[index] = self.worker(self.present[index].number)

    def tend(self):
        """Who gave up gets its successor."""
        for index, worker in enumerate(self.present):
            code = worker.process.poll()
            if code is None:
                continue
            if code != IN_VAIN:
                raise groups.Wrong(f"{worker.name} ended with {code}: {worker.complaint()}")
            worker.kill()
            self.kills["successor"] += 1
            self.succeed(index)

    def kill_worker(self):
        index = self.random.randrange(len(self.present))
        self.present[index].kill()
        self.events.append({"t": time.monotonic_ns(), "p": self.present[index].name, "e": "killed"})
        self.kills["worker"] += 1
        self.succeed(index)

    def kill_broker(self):
        self.broker.kill()
        began = time.monotonic()
        self.broker.start()
        self.restarted_seconds.append(time.monotonic() - began)
        self.kills["broker"] += 1

    def ended(self):
        """Transactions that were committed so far."""
        for worker in self.everybody:
            known = len(worker.events)
            self.committed += sum(event["e"] == "committed" for event in worker.events[worker.counted:known])
            worker.counted = known
        return self.committed

    def wait(self, condition, what):
        committed, end = -1, 0
        while True:
            with self.heard:
                if condition():
                    return
                self.heard.wait(0.1)
                now = self.ended()
            self.tend()
            if now > committed:
                committed, end = now, time.monotonic() + DONE_SECONDS
            if time.monotonic() > end:
                raise groups.Wrong(f"nothing was committed for {DONE_SECONDS} s: {what}")

    def disturb(self, plan):
        """Each kill after a few more transactions were committed."""
        for what in plan:
            wanted = self.ended() + self.random.randint(*self.between)
            self.wait(lambda wanted=wanted: self.ended() >= wanted or self.done(), "transactions are committed")
            if self.done():
                return
            (self.kill_broker if what == "broker" else self.kill_worker)()

    def leave(self):
        """All stop at the end of a transaction; who gives up instead has a successor that ends what it left open."""
        for index in range(len(self.present)):
            code = self.present[index].leave()
            while code == IN_VAIN:
                self.kills["successor"] += 1
                self.succeed(index)
                self.wait(lambda i=index: any(e["e"] == "started" for e in self.present[i].events), "a successor starts")
                code = self.present[index].leave()
            if code:
                raise groups.Wrong(f"{self.present[index].name} ended with {code}: {self.present[index].complaint()}")

    def history(self):
        with self.heard:
            said = [{**event, "p": worker.name} for worker in self.everybody for event in worker.events]
        return sorted(self.events + said, key=lambda event: event["t"])

    def read(self, topic, partitions):
        """The topic to its end by a reader of its own; its polls become part of the history."""
        self.wait_stable(topic, partitions)
        done = subprocess.run([*python(), os.path.join(HERE, "python", "confluent_reader.py"), f"127.0.0.1:{self.broker.port}", topic,
                               str(partitions)], capture_output=True, text=True, timeout=DONE_SECONDS, check=False)
        if done.returncode:
            raise groups.Wrong(f"not read: {done.stderr[-500:]}")
        polls = [{**json.loads(line), "p": "reader-" + topic} for line in done.stdout.splitlines()]
        self.events += polls
        return polls

    def wait_stable(self, topic, partitions):
        """Until no transaction is open there: what may be read is all there is."""
        def ends(isolation):
            answer = wire_admin.call(self.broker.port, "ListOffsets", 5, {"ReplicaId": -1, "IsolationLevel": isolation, "Topics": [{
                "Name": topic, "Partitions": [{"PartitionIndex": p, "CurrentLeaderEpoch": -1, "Timestamp": -1} for p in range(partitions)]}]})
            return sorted((p["PartitionIndex"], p["Offset"]) for p in answer["Topics"][0]["Partitions"])
        moldau.wait_for(lambda: ends(0) == ends(1), 30, f"no transaction is open in {topic}")

    def judge(self):
        found = txn_check.check(self.history(), complete=True)
        if found:
            raise groups.Wrong("; ".join(f"{kind}: {len(texts)}, the first: {texts[0]}" for kind, texts in found.items()))

    def close(self):
        for worker in self.everybody:
            worker.end()


class Copy(Run):
    def __init__(self, broker, name, kinds, commands, seed, records=8000):
        super().__init__(broker, name, kinds, commands, seed)
        self.records = records
        self.input, self.output = f"{name}-in", f"{name}-out"

    def config(self):
        return {"mode": "copy", "in": self.input, "out": self.output, "group": self.name, "partitions": OUT_PARTITIONS}

    def done(self):
        """The group has committed all of the input."""
        try:
            answer = wire_admin.call(self.broker.port, "OffsetFetch", 7, {"GroupId": self.name, "RequireStable": False, "Topics": [
                {"Name": self.input, "PartitionIndexes": list(range(IN_PARTITIONS))}]})
        except OSError:
            return False
        return sum(max(p["CommittedOffset"], 0) for t in answer["Topics"] for p in t["Partitions"]) == self.records

    def play(self, plan):
        wire_admin.create_topic(self.broker.port, self.input, IN_PARTITIONS)
        wire_admin.create_topic(self.broker.port, self.output, OUT_PARTITIONS)
        self.events += produce(self.broker.port, self.input, IN_PARTITIONS, self.records)
        self.start(2)
        self.disturb(plan)
        self.wait(self.done, "all is copied")
        self.leave()
        copied = [int(record[2].partition("@")[0]) for poll in self.read(self.output, OUT_PARTITIONS) for record in poll["r"]]
        twice, missing = len(copied) - len(set(copied)), self.records - len(set(copied))
        if twice or missing:
            raise groups.Wrong(f"{twice} records twice, {missing} missing")
        self.judge()


class Play(Run):
    def __init__(self, broker, name, kinds, commands, seed, transactions=300):
        super().__init__(broker, name, kinds, commands, seed)
        self.transactions = transactions
        self.topic = f"{name}-keys"

    def config(self):
        return {"mode": "play", "in": self.topic, "out": self.topic, "group": None, "partitions": OUT_PARTITIONS}

    def done(self):
        return self.ended() >= self.transactions

    def play(self, plan):
        wire_admin.create_topic(self.broker.port, self.topic, OUT_PARTITIONS)
        self.start(3)
        self.disturb(plan)
        self.wait(self.done, f"{self.transactions} transactions are committed")
        self.leave()
        self.read(self.topic, OUT_PARTITIONS)
        self.judge()


def python():
    return [members.PYTHON if os.path.exists(members.PYTHON) else "python3"]


# --- all of them

class Case:
    def __init__(self, story, kinds, core=False):
        self.story, self.kinds, self.core = story, kinds, core
        self.name = f"{story.__name__.lower()} by {', '.join(kinds)}"


def cases():
    return [Case(Copy, ["moldau"]), Case(Play, ["moldau"]), Case(Copy, ["moldau", "librdkafka"], core=True),
            Case(Copy, ["moldau", "java"]), Case(Copy, ["librdkafka"]), Case(Copy, ["java"], core=True), Case(Copy, ["franz"]), Case(Copy, ["java", "librdkafka"]),
            Case(Play, ["librdkafka"]), Case(Play, ["java"]), Case(Play, ["franz"]),
            Case(Play, ["java", "librdkafka", "franz"], core=True),
            Case(txn_copier.Tools, ["TransactionalMessageCopier"]), Case(txn_copier.ToolsInGroup, ["TransactionalMessageCopier"])]


PLAN = ["worker", "worker", "broker", "worker", "worker", "broker", "worker"]


def long_plan(workers, brokers_killed, seed):
    plan = ["worker"] * workers + ["broker"] * brokers_killed
    random.Random(seed).shuffle(plan)
    return plan


class LongCopy(Copy):
    """As many records as were asked for, the kills spread over all of them."""

    wanted_records = 0

    def __init__(self, broker, name, kinds, commands, seed):
        super().__init__(broker, name, kinds, commands, seed, self.wanted_records)

    def disturb(self, plan):
        self.between = 1, max(2, 2 * self.records // PER_TXN // (len(plan) + 1))
        super().disturb(plan)


def play(make, case, number, commands, seed, plan, trace):
    """(problem or None, what it counted)"""
    broker = make(BROKER)
    run = None
    try:
        broker.start()
        run = case.story(broker, f"txn{number}", case.kinds, commands, seed)
        run.play(plan)
        return None, counts(run)
    except (groups.Wrong, OSError, EOFError, AssertionError, RuntimeError, subprocess.TimeoutExpired) as problem:
        return f"{type(problem).__name__}: {problem}", counts(run) if run else ""
    finally:
        if run:
            run.close()
            if trace:
                with open(os.path.join(trace, re.sub(r"[^\w-]+", "_", case.name) + ".jsonl"), "w", encoding="utf-8") as out:
                    out.writelines(json.dumps(event) + "\n" for event in run.history())
        broker.end()


def counts(run):
    if isinstance(run, txn_copier.Tools):
        return run.counts()
    found = {**txn_check.counts(run.history()), **{f"kills of {who}" if who != "successor" else "gave up": n for who, n in run.kills.items()}}
    return ", ".join(f"{name} {value}" for name, value in found.items())


def run_against(against, wanted, seed, trace=None, plan=None):
    commands, missing = {}, {}
    for name in sorted({kind for case in wanted for kind in case.kinds}):
        commands[name], missing[name] = BUILDERS[name]()
    failed = 0
    for make in brokers.makers(against):
        lacking = no_transactions(make)
        for number, case in enumerate(wanted):
            reason = lacking or next((missing[kind] for kind in case.kinds if missing[kind]), None)
            if reason:
                print(f"SKIP {make.label}{case.name}: {reason}", flush=True)
                continue
            began = time.monotonic()
            problem, counted = play(make, case, number, commands, seed + number, PLAN if plan is None else plan, trace)
            failed += problem is not None
            print(f"{'FAIL' if problem else 'PASS'} {make.label}{case.name}", flush=True)
            print(f"    seed {seed + number}, {time.monotonic() - began:.0f} s, {counted}", flush=True)
            if problem:
                print(f"    {problem}", flush=True)
    return failed


def no_transactions(make):
    """Why that broker cannot play; None when it can."""
    if make is brokers.Kafka:
        return None
    with make(BROKER) as broker:
        lacking = {"JoinGroup", "EndTxn", "TxnOffsetCommit"} - wire_admin.apis(broker.start().port)
    return f"the broker has no {sorted(lacking)[0]}" if lacking else None


def choose(words, core):
    """By words of their names; a whole name is that one alone."""
    names = {c.name for c in cases()}
    return [c for c in cases() if (c.core or not core) and (not words or any(word == c.name if word in names else word in c.name for word in words))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default="moldau", choices=("moldau", "kafka", "both"))
    parser.add_argument("--core", action="store_true", help="the few that ./dev test plays")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2), "big"))
    parser.add_argument("--calm", action="store_true", help="kill nobody")
    parser.add_argument("--trace", help="a folder for the histories")
    parser.add_argument("--long", metavar="RECORDS,KILLS,BROKER_KILLS", help="copy so many records, such as 1000000,200,20")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    os.makedirs(clients.BUILD, exist_ok=True)
    wanted, plan = choose(options.words, options.core), [] if options.calm else None
    if options.long:
        LongCopy.wanted_records, kills, broker_kills = map(int, options.long.split(","))
        wanted, plan = [Case(LongCopy, c.kinds) for c in wanted if c.story is Copy], long_plan(kills, broker_kills, options.seed)
    return 1 if run_against(options.against, wanted, options.seed, options.trace, plan) else 0


if __name__ == "__main__":
    sys.exit(main())
