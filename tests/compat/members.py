"""Other people's clients as members of consumer groups: which there are, what assignors and protocols they have, and how one is started.

A member is a program that prints what happens to it as lines of JSON (README.md has the contract); Member is one that runs.
"""
import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading

import clients
import kafka

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = os.path.join(clients.ROOT, "build", "python", "bin", "python3")
CLASSIC, CONSUMER = "classic", "consumer"
LEAVE_SECONDS = 30
COMPLAINT = 3000  # characters of it
JAVA_FLAGS = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xlog:disable", f"-Dlog4j2.configurationFile={kafka.LOG4J}"]


class Kind:
    """A client with a protocol and an assignor."""

    def __init__(self, client, protocol, assignor):
        self.client, self.protocol, self.assignor = client, protocol, assignor

    def __str__(self):
        return f"{self.client} {self.assignor if self.protocol == CLASSIC else 'KIP-848 ' + self.assignor}"


# What each client has. A client's own default comes first.
ASSIGNORS = {
    "librdkafka": {CLASSIC: ("range", "roundrobin", "cooperative-sticky"), CONSUMER: ("uniform", "range")},
    "java": {CLASSIC: ("range", "roundrobin", "sticky", "cooperative-sticky"), CONSUMER: ("uniform", "range")},
    "kafka-python": {CLASSIC: ("range", "roundrobin", "sticky", "cooperative-sticky")},
    "franz": {CLASSIC: ("cooperative-sticky", "range", "roundrobin", "sticky"), CONSUMER: ("uniform", "range")},
    "sarama": {CLASSIC: ("range", "roundrobin", "sticky")},
    "kafkajs": {CLASSIC: ("roundrobin",)},
    "moldau": {CONSUMER: ("uniform", "range"), CLASSIC: ("range", "roundrobin", "sticky", "cooperative-sticky")},
}


# --- how each is built and started

def python_command(script, module):
    def build():
        python = PYTHON if os.path.exists(PYTHON) else shutil.which("python3")
        if subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode:
            return None, f"{module} is not installed (tests/requirements.txt)"
        return [python, os.path.join(HERE, "python", script)], None
    return build


def go_command(name):
    def build():
        path, missing = clients.build_go()
        return ([path, name, "member"], None) if path else (None, missing)
    return build


def node_command():
    folder, missing = clients.install_node()
    return (["node", os.path.join(folder, "member.js")], None) if folder else (None, missing)


def compile_java(name):
    """The class path with the compiled program of that name, made when its source has changed; and why there is none."""
    missing = kafka.missing()
    if missing:
        return None, missing
    tools = os.path.dirname(kafka.java())
    if not os.path.exists(os.path.join(tools, "javac")):
        return None, "no javac beside java"
    source, folder = os.path.join(HERE, "java", name + ".java"), os.path.join(clients.BUILD, "java", name)
    stamp, jar = os.path.join(folder, name + ".java"), os.path.join(folder, name + ".jar")
    path = os.pathsep.join([jar, os.path.join(kafka.jars(), "*")])
    if os.path.exists(stamp) and filecmp.cmp(source, stamp, shallow=False):
        return path, None
    classes = os.path.join(folder, "classes")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(classes)
    for command in ([os.path.join(tools, "javac"), "-cp", os.path.join(kafka.jars(), "*"), "-d", classes, source],
                    [os.path.join(tools, "jar"), "--create", "--file", jar, "-C", classes, "."],
                    # The classes of a start, mapped instead of loaded from then on: half of what a start costs.
                    [kafka.java(), *JAVA_FLAGS, f"-XX:ArchiveClassesAtExit={archive_of(name)}", "-cp", path, name, "--classes"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return None, f"{name}.java does not compile: {(done.stderr + done.stdout).strip()[-500:]}"
    shutil.copy(source, stamp)
    return path, None


def archive_of(name):
    return os.path.join(clients.BUILD, "java", name, name + ".jsa")


def java_program(name, heap="-Xmx64m"):
    """Many of them run at once, each for seconds: little memory, and no time for compiling well."""
    path, missing = compile_java(name)
    if missing:
        return None, missing
    return [kafka.java(), heap, *JAVA_FLAGS, f"-XX:SharedArchiveFile={archive_of(name)}", "-Xshare:auto", "-cp", path, name], None


BUILDERS = {
    "librdkafka": python_command("confluent_member.py", "confluent_kafka"),
    "kafka-python": python_command("kafka_python_member.py", "kafka"),
    "java": lambda: java_program("Member"),
    "franz": go_command("franz"),
    "sarama": go_command("sarama"),
    "kafkajs": node_command,
    "moldau": lambda: ([sys.executable, os.path.join(HERE, "python", "moldau_member.py")], None),
}


def find(names):
    """Name to command of those that can run here, and name to reason of the others."""
    os.makedirs(clients.BUILD, exist_ok=True)
    commands, missing = {}, {}
    for name in names:
        command, reason = BUILDERS[name]()
        if reason:
            missing[name] = reason
        else:
            commands[name] = command
    return commands, missing


# --- one that runs

class Member:
    """A process whose lines become events; `heard` is notified of each."""

    def __init__(self, name, kind, command, config, heard):
        self.name, self.kind, self.heard = name, kind, heard
        self.events, self.owned, self.gone = [], set(), False
        self.complaints = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([*command, json.dumps({**config, "name": name})], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.complaints, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue
            event = json.loads(line)
            with self.heard:
                self.events.append(event)
                if event["e"] == "assigned":
                    self.owned |= set(event.get("p", ()))
                elif event["e"] in ("revoked", "lost"):
                    self.owned -= set(event.get("p", ()))
                self.heard.notify_all()
        with self.heard:
            self.heard.notify_all()

    def leave(self):
        """Asks it to leave the group and waits until it has ended; its exit code."""
        try:
            self.process.stdin.write("leave\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        code = self.process.wait(LEAVE_SECONDS)
        self.reader.join()
        self.forget()
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.forget()

    def forget(self):
        with self.heard:
            self.gone = True
            self.owned = set()

    def complaint(self):
        self.complaints.seek(0)
        return self.complaints.read()[-COMPLAINT:]

    def end(self):
        if self.process.poll() is None:
            self.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.complaints.close()
