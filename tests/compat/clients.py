"""Other people's clients, and ours: each as a command that turns lines into records of partition 0, or records into lines.

all_clients() returns those that can run here; missing ones have a reason. What a client needs is built or fetched into build/compat once.
"""
import filecmp
import os
import shutil
import subprocess
import sys

import kafka

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build", "compat")
END_MS = 50  # how long the last fetch waits before it says that this is the end
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class Client:
    """`producer` and `consumer` are functions of bootstrap, topic, codec and number of lines to a command; None where it cannot."""

    def __init__(self, name, producer=None, consumer=None, missing=None, in_group=False):
        self.name, self.producer, self.consumer, self.missing = name, producer, consumer, missing
        self.in_group = in_group  # consumes as a member of a group of its own


def program(name):
    return None if shutil.which(name) else f"{name} is not installed"


# --- kcat and confluent-kafka: librdkafka of Debian's age and of today's

def kcat():
    def produce(bootstrap, topic, codec, _):
        return ["kcat", "-b", bootstrap, "-t", topic, "-p", "0", "-P", "-X", f"compression.codec={codec}", "-X",
                "enable.idempotence=true", "-l", "/dev/stdin"]

    def consume(bootstrap, topic, _codec, _lines):
        return ["kcat", "-b", bootstrap, "-t", topic, "-p", "0", "-C", "-o", "beginning", "-e", "-q", "-D", "\\n",
                "-X", "check.crcs=true", "-X", f"fetch.wait.max.ms={END_MS}"]

    return Client("kcat", produce, consume, program("kcat"))


def kcat_group():
    def consume(bootstrap, topic, _codec, _lines):
        return ["kcat", "-b", bootstrap, "-q", "-e", "-D", "\\n", "-X", "check.crcs=true", "-X", "auto.offset.reset=earliest", "-X",
                f"fetch.wait.max.ms={END_MS}", "-G", f"kcat-{topic}-{os.getpid()}", topic]

    return Client("kcat -G", None, consume, program("kcat"), in_group=True)


def python():
    path = os.path.join(HERE, "python", "lines.py")
    found = subprocess.run([sys.executable, "-c", "import confluent_kafka"], capture_output=True, check=False).returncode == 0
    return Client("confluent-kafka",
                  lambda bootstrap, topic, codec, _: [sys.executable, path, "produce", bootstrap, topic, codec],
                  lambda bootstrap, topic, codec, _: [sys.executable, path, "consume", bootstrap, topic, codec],
                  None if found else "confluent-kafka is not installed (tests/requirements.txt)")


# --- Java

def java_flags(name, short):
    return (*kafka.SHORT_FLAGS, *kafka.archive_flags(os.path.join(BUILD, name + ".jsa"))) if short else ("-Xmx1G", "-XX:+UseG1GC")


def java_reads(bootstrap, topic, lines, short, *arguments):
    return kafka.command("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", bootstrap, "--topic", topic,
                         *arguments, "--max-messages", str(lines), "--timeout-ms", "60000", flags=java_flags("consumer", short))


def java(short=False):
    def produce(bootstrap, topic, codec, _):
        return kafka.command("org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", bootstrap, "--topic", topic,
                             "--compression-codec", codec, flags=java_flags("producer", short))

    def consume(bootstrap, topic, _, lines):
        return java_reads(bootstrap, topic, lines, short, "--partition", "0", "--offset", "earliest")

    return Client("java", produce, consume, kafka.missing())


def java_group(short=False):
    def consume(bootstrap, topic, _, lines):
        return java_reads(bootstrap, topic, lines, short, "--group", f"java-{topic}-{os.getpid()}", "--from-beginning")

    return Client("java --group", None, consume, kafka.missing(), in_group=True)


# --- Go

def build_go():
    """The path of the Go program, and why there is none."""
    if not shutil.which("go"):
        return None, "go is not installed"
    path = os.path.join(BUILD, "lines-go")
    environment = {**os.environ, "CGO_ENABLED": "0"}
    done = subprocess.run(["go", "build", "-o", path, "."], cwd=os.path.join(HERE, "go"), env=environment,
                          capture_output=True, text=True, check=False)
    return (path, None) if done.returncode == 0 else (None, "the Go program does not build: " + done.stderr.strip()[-300:])


def go_client(name, path, missing):
    return Client(name, lambda bootstrap, topic, codec, _: [path, name, "produce", bootstrap, topic, codec],
                  lambda bootstrap, topic, codec, _: [path, name, "consume", bootstrap, topic, codec], missing)


# --- Node

def install_node():
    """The folder of the program with its packages, and why there is none."""
    if not shutil.which("node") or not shutil.which("npm"):
        return None, "node and npm are not installed"
    source, folder = os.path.join(HERE, "node"), os.path.join(BUILD, "node")
    installed = os.path.join(folder, "installed.json")
    lock = os.path.join(source, "package-lock.json")
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json", "produce.js", "consume.js", "member.js"):
        shutil.copy(os.path.join(source, name), folder)
    if not (os.path.exists(installed) and filecmp.cmp(lock, installed, shallow=False)):
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                              capture_output=True, text=True, check=False)
        if done.returncode:
            return None, "npm cannot install: " + done.stderr.strip()[-300:]
        shutil.copy(lock, installed)
    return folder, None


def kafkajs():
    folder, missing = install_node()
    produce, consume = (os.path.join(folder or "", name) for name in ("produce.js", "consume.js"))
    return Client("kafkajs", lambda bootstrap, topic, codec, _: ["node", produce, bootstrap, topic, codec],
                  lambda bootstrap, topic, _, lines: ["node", consume, bootstrap, topic, str(lines)], missing, in_group=True)


# --- ours

def moldau(binary):
    def produce(bootstrap, topic, codec, _):
        return [binary, "produce", topic, "-b", bootstrap, "-p", "0", "-z", codec]

    def consume(bootstrap, topic, _codec, _lines):
        return [binary, "consume", topic, "-b", bootstrap, "-p", "0", "-o", "beginning", "-e"]

    done = subprocess.run([binary, "produce", "--help"], capture_output=True, check=False) if os.path.exists(binary) else None
    missing = None if done and done.returncode == 0 else "no `moldau produce`"
    return Client("moldau", produce, consume, missing)


def all_clients(binary, wanted=None, short=False):
    """In the order of the matrix. Only those of `wanted` are looked for. `short`: each runs for a few seconds at most, one at a time."""
    os.makedirs(BUILD, exist_ok=True)
    makers = {"kcat": kcat, "kcat -G": kcat_group, "java --group": lambda: java_group(short), "confluent-kafka": python,
              "java": lambda: java(short), "kafkajs": kafkajs, "moldau": lambda: moldau(binary)}
    names = [name for name in ("kcat", "kcat -G", "confluent-kafka", "java", "java --group", "franz", "sarama", "kafkajs", "moldau")
             if wanted is None or name in wanted]
    go, go_missing = build_go() if {"franz", "sarama"} & set(names) else (None, None)
    return [makers[name]() if name in makers else go_client(name, go, go_missing) for name in names]
