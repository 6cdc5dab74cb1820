"""Brokers that are measured, what their processes used, and a table of it. `run` and `groups` beside it use this."""
import os
import statistics
import time

import kafka
import moldau

TICKS = os.sysconf("SC_CLK_TCK")


class Moldau:
    def __init__(self, folder, settings=None):
        os.makedirs(folder, exist_ok=True)
        self.broker = moldau.Broker(settings, data=folder, start=False)

    @property
    def port(self):
        return self.broker.port

    @property
    def pid(self):
        return self.broker.process.pid

    def start(self):
        """Seconds until an answer, as for the other."""
        began = time.monotonic()
        self.broker.start()
        if not kafka.answers(self.port):
            raise RuntimeError("the broker does not answer")
        self.broker.listen = f"127.0.0.1:{self.port}"
        return time.monotonic() - began

    def stop(self):
        self.broker.stop()

    def end(self):
        self.broker.end()


class Kafka:
    def __init__(self, folder, settings=None):
        os.makedirs(folder, exist_ok=True)
        self.broker = kafka.Kafka(settings, folder=folder)

    @property
    def port(self):
        return self.broker.port

    @property
    def pid(self):
        return self.broker.pid

    def start(self):
        return self.broker.start().start_seconds

    def stop(self):
        self.broker.stop()

    def end(self):
        self.broker.close()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid, what="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def table(figures, peers):
    """Markdown of the medians; figures: (name, unit) to peer to values."""
    lines = ["| | unit | " + " | ".join(peers) + " |", "|---|---|" + "---|" * len(peers)]
    for (name, unit), by_peer in figures.items():
        cells = []
        for peer in peers:
            values = by_peer.get(peer)
            cells.append(f"{statistics.median(values):,.{3 if statistics.median(values) < 10 else 0}f}" if values else "-")
        lines.append(f"| {name} | {unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
