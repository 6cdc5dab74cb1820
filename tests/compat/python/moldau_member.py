#!/usr/bin/env python3
"""A member of a group by `moldau consume -g`: moldau_member.py JSON

What the program prints is told as it comes. It has no `until`: it processes whatever there is.
"""
import ctypes
import os
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "system"))

import member  # noqa: E402
import moldau  # noqa: E402

PR_SET_PDEATHSIG = 1
REBALANCES = ("assigned", "revoked", "lost")


def command(config):
    found = [moldau.binary(), "consume", "-b", config["bootstrap"], "-g", config["group"], config["topic"], "-v", "-q", "-f", "record %p %o\\n"]
    settings = {"client.id": config["name"], "group.protocol": config["protocol"], "auto.commit.interval.ms": 100,
                "metadata.max.age.ms": 1000, "fetch.wait.max.ms": 100}
    if config["protocol"] == "consumer":
        settings["group.remote.assignor"] = config["assignor"]
    else:
        settings.update({"partition.assignment.strategy": config["assignor"], "session.timeout.ms": config["session_ms"],
                         "heartbeat.interval.ms": config["heartbeat_ms"]})
    if config.get("instance"):
        found += ["--group-instance-id", config["instance"]]
    for name, value in settings.items():
        found += ["-X", f"{name}={value}"]
    return found


def numbers(words):
    return [int(word.rpartition("/")[2]) for word in words if "/" in word]


def tell(line):
    word, _, rest = line.strip().partition(" ")
    if word == "record":
        partition, offset = rest.split()
        member.say("records", p=int(partition), o=[int(offset)])
    elif word.rstrip(":") in REBALANCES:
        member.say(word.rstrip(":"), p=numbers(rest.split()))
    elif word == "committed:":
        pairs = [place.rpartition("/")[2].split("@") for place in rest.split()]
        member.say("committed", o={partition: int(offset) for partition, offset in pairs})
    elif line.startswith("moldau consume:"):
        member.say("commit_failed", o={}, m=line.strip())
    elif line.strip():
        print(line.strip(), file=sys.stderr)


def leave_when_asked(process):
    sys.stdin.readline()
    process.send_signal(signal.SIGTERM)


def main():
    libc = ctypes.CDLL(None)
    # Who kills this one kills the member; one pipe has everything in the order in which it was said.
    with subprocess.Popen(command(member.config()), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)) as process:
        member.say("started")
        threading.Thread(target=leave_when_asked, args=(process,), daemon=True).start()
        for line in process.stdout:
            tell(line)
    member.say("left")
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
