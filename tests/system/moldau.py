"""Brokers and raw connections for system tests. Standard library only.

    with moldau.Broker() as broker:
        with broker.connect() as c:
            print(c.ask("Metadata", 12, {"Topics": None}))

The binary is $MOLDAU, else $MOLDAU_DEV, else the newest of build/*/moldau. Ports are the kernel's choice, folders are
temporary; what a test starts, it ends.
"""
import glob
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import wire  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_SECONDS = 60
STOP_SECONDS = 60
ANSWER_SECONDS = 10


def binary():
    for name in ("MOLDAU", "MOLDAU_DEV"):
        if os.environ.get(name) and os.access(os.environ[name], os.X_OK):
            return os.environ[name]
    built = [path for path in glob.glob(os.path.join(ROOT, "build", "*", "moldau")) if os.access(path, os.X_OK)]
    if not built:
        print("SKIP: there is no moldau binary; ./dev build makes one")
        sys.exit(77)
    return max(built, key=os.path.getmtime)


def wait_for(condition, seconds=ANSWER_SECONDS, what="the condition"):
    """What `condition` returns, once it is true."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.002)


class Connection:
    """A raw connection: whole frames, and any bytes."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError("the broker closed the connection")
            data += part
        return data

    def receive_frame(self):
        return self.receive(struct.unpack(">i", self.receive(4))[0])

    def answer(self, api, version):
        """(correlation id, body) of the next answer."""
        return wire.decode_response(api, version, self.receive_frame())

    def ask(self, api, version, body=None, **header):
        self.send(wire.request(api, version, body, **header))
        return self.answer(api, version)[1]

    def is_closed(self, seconds=ANSWER_SECONDS):
        """True once the broker has closed it; bytes that come before that are an error."""
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(1)
        except ConnectionError:
            return True
        except socket.timeout:
            return False
        if data:
            raise AssertionError(f"an answer came instead of the end: {data!r}...")
        return True


class Broker:
    """A broker process on a free port with a temporary folder, or the given one."""

    def __init__(self, settings=None, data=None, arguments=(), listen="127.0.0.1:0", start=True):
        self.own_folder = data is None
        self.data = data or tempfile.mkdtemp(prefix="moldau-test-")
        self.settings = dict(settings or {})
        self.arguments = list(arguments)
        self.listen = listen
        self.process = None
        self.port = None
        self.start_lines = ""
        self.log_path = tempfile.mktemp(prefix="moldau-log-")
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.end()

    def command(self):
        command = [binary(), "broker", "--data", self.data]
        if self.listen:
            command += ["--listen", self.listen]
        # Many run at once: only who looks at it has the port of the metrics.
        for name, value in {"metrics.listener": "", **self.settings}.items():
            command += ["--set", f"{name}={value}"]
        return command + self.arguments

    def launch(self):
        """Starts it and waits for nothing."""
        self.log_file = open(self.log_path, "a", encoding="utf-8")
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=self.log_file, cwd="/tmp")

    def start(self):
        """Starts it and waits for its start lines; returns the seconds that took."""
        began = time.monotonic()
        self.launch()
        self.start_lines = ""
        data = b""
        while b"moldau consume" not in data:
            left = began + START_SECONDS - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(left, 0))
            part = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not part:
                self.kill()
                raise AssertionError(f"the broker did not start:\n{self.log()}")
            data += part
        seconds = time.monotonic() - began
        self.start_lines = data.decode()
        self.port = int(re.search(r"listening +\S+:(\d+) ", self.start_lines)[1])
        return seconds

    def log(self):
        with open(self.log_path, encoding="utf-8") as lines:
            return lines.read()

    def wait_for_log(self, text, seconds=ANSWER_SECONDS):
        wait_for(lambda: text in self.log(), seconds, f"{text!r} in the log:\n{self.log()}")

    def connect(self):
        return Connection(self.port)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=STOP_SECONDS):
        code = self.process.wait(seconds)
        self.process.stdout.close()
        self.log_file.close()
        self.process = None
        return code

    def stop(self):
        """A clean stop: (exit code, seconds)."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        code = self.wait()
        return code, time.monotonic() - began

    def kill(self):
        if self.process:
            self.process.kill()
            self.wait()

    def restart(self):
        self.stop()
        return self.start()

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="utf-8") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def end(self):
        """Whatever happened: no process and no folder of it is left; a report of a sanitizer fails the test."""
        if self.process:
            self.signal(signal.SIGTERM)
            try:
                self.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
        log = self.log() if os.path.exists(self.log_path) else ""
        if os.path.exists(self.log_path):
            os.remove(self.log_path)
        if self.own_folder:
            shutil.rmtree(self.data, ignore_errors=True)
        if "Sanitizer" in log or "not reached" in log or "must" in log and "broken" in log:
            raise AssertionError(f"the broker reported a fault:\n{log}")


def run_moldau(*arguments, seconds=START_SECONDS, **options):
    """Runs the program to its end: (exit code, stdout, stderr)."""
    done = subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=seconds, **options)
    return done.returncode, done.stdout, done.stderr


def create_topic(connection, name, partitions=1, configs=None):
    answer = connection.ask("CreateTopics", 7, {"timeoutMs": 10000, "Topics": [{
        "Name": name, "NumPartitions": partitions, "ReplicationFactor": 1,
        "Configs": [{"Name": n, "Value": v} for n, v in (configs or {}).items()]}]})
    topic = answer["Topics"][0]
    if topic["ErrorCode"]:
        raise AssertionError(f"{name} was not created: {topic}")
    return topic["TopicId"]


def main():
    binary()
    unittest.main(verbosity=2)
