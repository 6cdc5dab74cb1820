"""The real Apache Kafka: where its jars are, its tools, and a broker of it to compare with.

Its jars come from the folder that $MOLDAU_KAFKA names, else Maven puts those of kafka/pom.xml into build/kafka, once. Java 17 or newer
is taken from $JAVA_HOME, else the newest one found. Without Java, or without both jars and Maven, missing() says what is wanting.
"""
import filecmp
import functools
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
POM = os.path.join(HERE, "kafka", "pom.xml")
LOG4J = os.path.join(HERE, "kafka", "log4j2.properties")
JARS = os.path.join(ROOT, "build", "kafka")
BROKER_FLAGS = ["-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
                "-XX:+ExplicitGCInvokesConcurrent", "-Xms1G", "-Xmx1G"]  # as Kafka's own scripts have them
# Of programs that end soon: what a better compiler and more collectors' threads give is not won back.
SHORT_FLAGS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
API_VERSIONS_V0 = b"\0\0\0\x0b\0\x12\0\0\0\0\0\1\0\1t"


@functools.lru_cache(maxsize=None)
def java():
    """The newest Java, if it is 17 or newer."""
    home = os.environ.get("JAVA_HOME")
    candidates = [os.path.join(home, "bin", "java")] if home else glob.glob("/usr/lib/jvm/*/bin/java")
    candidates += [path for path in [shutil.which("java")] if path and not candidates]
    best = None
    for path in sorted(candidates):
        found = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
        version = re.search(r'version "(\d+)', found.stderr)
        if version and int(version[1]) >= 17 and (best is None or int(version[1]) > best[0]):
            best = (int(version[1]), path)
    return best[1] if best else None


def jars():
    """The folder of Kafka's jars, fetched by Maven when it must be; None when there is no way to have them."""
    given = os.environ.get("MOLDAU_KAFKA")
    if given:
        return given if glob.glob(os.path.join(given, "kafka_*.jar")) else None
    stamp = os.path.join(JARS, "pom.xml")
    if os.path.exists(stamp) and filecmp.cmp(POM, stamp, shallow=False):
        return JARS
    if not shutil.which("mvn") or not java():
        return None
    shutil.rmtree(JARS, ignore_errors=True)
    fetched = subprocess.run(["mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies", "-DincludeScope=runtime",
                              f"-DoutputDirectory={JARS}"], capture_output=True, text=True, check=False)
    if fetched.returncode:
        return None
    shutil.copy(POM, stamp)
    return JARS


def missing():
    """Why Kafka cannot run here; None when it can."""
    if not java():
        return "no Java 17 or newer"
    if not jars():
        return "no jars of Kafka in $MOLDAU_KAFKA" if os.environ.get("MOLDAU_KAFKA") else "no Maven to fetch Kafka's jars"
    return None


def command(main_class, *arguments, flags=("-Xmx1G", "-XX:+UseG1GC")):
    return [java(), *flags, "-Dfile.encoding=UTF-8", f"-Dlog4j2.configurationFile={LOG4J}", "-cp",
            os.path.join(jars(), "*"), main_class, *arguments]


def dump_log(*arguments):
    """What Kafka's dump tool says, with its exit code and errors."""
    done = subprocess.run(command("org.apache.kafka.tools.DumpLogSegments", *arguments, flags=SHORT_FLAGS), capture_output=True,
                          text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def archive_flags(path):
    """A JVM of 19 or newer keeps there what it made of the classes, and the next one begins with that. One at a time."""
    return ("-XX:+IgnoreUnrecognizedVMOptions", "-Xlog:disable", "-XX:+AutoCreateSharedArchive", f"-XX:SharedArchiveFile={path}")


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port):
    """Does whoever listens there answer an ApiVersions request?"""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            s.sendall(API_VERSIONS_V0)
            return len(s.recv(4)) > 0
    except OSError:
        return False


class Kafka:
    """One node of it on free ports, with a temporary folder or the given one."""

    def __init__(self, settings=None, folder=None, port=None, controller_port=None):
        self.port = port or free_port()
        self.controller_port = controller_port or free_port()
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="kafka-test-")
        self.settings = dict(settings or {})
        self.process = None
        self.start_seconds = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def write_properties(self, path):
        settings = {
            "process.roles": "broker,controller", "node.id": 1, "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "log.dirs": os.path.join(self.folder, "data"), "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1, "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1, "share.coordinator.state.topic.min.isr": 1,
            **self.settings}
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(f"{name}={value}\n" for name, value in settings.items())

    def start(self, seconds=120):
        properties = os.path.join(self.folder, "server.properties")
        self.write_properties(properties)
        if not os.path.exists(os.path.join(self.folder, "data", "meta.properties")):
            subprocess.run(command("kafka.tools.StorageTool", "format", "--ignore-formatted", "-t",
                                   "bW9sZGF1LXRlc3RzLWthZg", "-c", properties), check=True, capture_output=True)
        began = time.monotonic()
        with open(os.path.join(self.folder, "output.txt"), "ab") as log:
            self.process = subprocess.Popen(command("kafka.Kafka", properties, flags=BROKER_FLAGS), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() - began > seconds:
                raise RuntimeError(f"Kafka did not start: {os.path.join(self.folder, 'output.txt')}")
            time.sleep(0.005)
        self.start_seconds = time.monotonic() - began
        return self

    def stop(self, seconds=90):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def close(self):
        self.kill()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, *_):
        self.close()
