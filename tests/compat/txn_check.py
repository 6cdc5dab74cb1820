"""What must be true of a history of transactions: what was said to be written, and what was read where and when.

check(events) takes events in order of time and returns kind of anomaly to a list of sentences, empty where nothing is wrong. An event is a dict
with `t` (nanoseconds), `p` (process) and `e`:

    begin               txn
    send                txn (null: none), k, v        asked for; no two sends to a key have one value
    sent                txn, k, v, o                  acknowledged at that offset
    failed              txn, k, v                     will never be
    commit, abort       txn                           asked for
    committed, aborted  txn                           done; an end without an answer stays in doubt
    poll                txn, r: [[k, o, v], ...]      what a read-committed consumer returned, in order; txn: the one that it was read in, or null
    assigned, revoked   k: keys                       its position there may be anything from now on
    killed                                            the process ended without a word; what it had open is in doubt, or will never be

A key is one partition. The anomalies, after Adya's and those of the Kafka workload of Jepsen:

    G1a               a record of a transaction was read that was aborted or never asked to commit
    G1b               a record was read before its transaction was asked to commit, so not its last state
    G1c               transactions read each other's records in a circle
    lost write        committed and acknowledged, never read, though what lies behind it was
    unseen            committed and acknowledged, never read at all (only when the history is complete)
    duplicate         one write at two offsets
    inconsistent      one offset with two values
    phantom           a value was read that nobody sent
    poll skip         one consumer's next record is beyond a record that can be read
    nonmonotonic poll one consumer's next record is not behind its last

Which transaction wrote first says nothing: Kafka lets the records of several lie between each other, so circles over the order of writes are no anomaly.
"""
import bisect

COMMITTED, ABORTED, DOUBT = "committed", "aborted", "in doubt"


class Transaction:
    def __init__(self, name):
        self.name = name
        self.state = None
        self.asked_at = None  # to commit
        self.seen = False  # somebody read of it

    def outcome(self):
        """What is known of it: also by what was read, since all of it or nothing can be."""
        if self.state:
            return self.state
        if self.asked_at is None:
            return ABORTED
        return COMMITTED if self.seen else DOUBT


class Write:
    def __init__(self, key, value, transaction):
        self.key, self.value, self.transaction = key, value, transaction
        self.acknowledged = None  # offset
        self.failed = False
        self.offsets = set()  # wherever it was said to be
        self.read = False

    def visible(self):
        """Must whoever reads on find it?"""
        if self.acknowledged is None:
            return self.read
        return self.transaction is None or self.transaction.outcome() == COMMITTED

    def __str__(self):
        return f"{self.value} of {self.key}"


class History:
    def __init__(self, events):
        self.transactions = {}
        self.writes = {}  # (key, value) -> Write
        self.at = {}  # (key, offset) -> values
        self.polls = []  # (time, process, Transaction or None, [(key, offset, value)])
        self.resets = []  # (time, process, keys or None for all)
        self.found = {}
        for event in events:
            getattr(self, "on_" + event["e"], lambda _: None)(event)

    def wrong(self, kind, text):
        self.found.setdefault(kind, []).append(text)

    def transaction(self, event):
        name = event.get("txn")
        return None if name is None else self.transactions.setdefault(name, Transaction(name))

    def write(self, event):
        return self.writes[event["k"], event["v"]]

    def place(self, write, offset):
        write.offsets.add(offset)
        self.at.setdefault((write.key, offset), set()).add(write.value)

    # --- events

    def on_begin(self, event):
        self.transaction(event)

    def on_send(self, event):
        self.writes[event["k"], event["v"]] = Write(event["k"], event["v"], self.transaction(event))

    def on_sent(self, event):
        write = self.write(event)
        write.acknowledged = event["o"]
        self.place(write, event["o"])

    def on_failed(self, event):
        self.write(event).failed = True

    def on_commit(self, event):
        self.transaction(event).asked_at = event["t"]

    def on_committed(self, event):
        self.transaction(event).state = COMMITTED

    def on_aborted(self, event):
        self.transaction(event).state = ABORTED

    def on_poll(self, event):
        self.polls.append((event["t"], event["p"], self.transaction(event), [tuple(r) for r in event["r"]]))

    def on_assigned(self, event):
        self.polls.append((event["t"], event["p"], None, event["k"]))

    def on_revoked(self, event):
        self.on_assigned(event)

    # --- what is wrong

    def read(self):
        """Looks at each record that was read; what it says of transactions is used by what comes after."""
        for time, process, _, records in self.polls:
            for record in records:
                if not isinstance(record, tuple):
                    continue
                key, offset, value = record
                write = self.writes.get((key, value))
                if write is None:
                    self.wrong("phantom", f"{process} read {value} of {key} at {offset}")
                    self.at.setdefault((key, offset), set()).add(value)
                    continue
                self.place(write, offset)
                write.read = True
                self.judge_read(time, process, write)

    def judge_read(self, time, process, write):
        transaction = write.transaction
        if transaction is None:
            return
        if transaction.state == ABORTED or transaction.asked_at is None:
            self.wrong("G1a", f"{process} read {write} of {transaction.name}, which was not committed")
        elif time < transaction.asked_at:
            self.wrong("G1b", f"{process} read {write} before {transaction.name} was asked to commit")
        transaction.seen = True

    def offsets(self):
        for (key, offset), values in sorted(self.at.items()):
            if len(values) > 1:
                self.wrong("inconsistent", f"offset {offset} of {key} is {' and '.join(sorted(map(str, values)))}")
        for write in self.writes.values():
            if len(write.offsets) > 1:
                self.wrong("duplicate", f"{write} is at {sorted(write.offsets)}")

    def losses(self, complete):
        highest = {}
        for _, _, _, records in self.polls:
            for record in records:
                if isinstance(record, tuple):
                    highest[record[0]] = max(record[1], highest.get(record[0], -1))
        for write in self.writes.values():
            if write.read or not write.visible():
                continue
            if write.acknowledged < highest.get(write.key, -1):
                self.wrong("lost write", f"{write} at {write.acknowledged}, though {highest[write.key]} was read")
            elif complete:
                self.wrong("unseen", f"{write} at {write.acknowledged}")

    def progress(self):
        """Each consumer's way through each key."""
        visible = {}  # key -> offsets in order
        for write in self.writes.values():
            if write.visible():
                visible.setdefault(write.key, set()).update(write.offsets)
        visible = {key: sorted(offsets) for key, offsets in visible.items()}
        last = {}  # (process, key) -> offset
        for _, process, _, records in self.polls:
            for record in records:
                if isinstance(record, tuple):
                    self.step(process, record, last, visible.get(record[0], []))
                else:
                    last.pop((process, record), None)

    def step(self, process, record, last, visible):
        key, offset, _ = record
        before = last.get((process, key))
        last[process, key] = offset
        if before is None:
            return
        if offset <= before:
            self.wrong("nonmonotonic poll", f"{process} read {offset} of {key} after {before}")
            return
        skipped = visible[bisect.bisect_right(visible, before):bisect.bisect_left(visible, offset)]
        if skipped:
            self.wrong("poll skip", f"{process} read {offset} of {key} after {before} and passed over {skipped[:5]}")

    def circles(self):
        """Strongly connected parts of who read from whom."""
        edges = {}
        for _, _, reader, records in self.polls:
            for record in records:
                write = self.writes.get((record[0], record[2])) if isinstance(record, tuple) else None
                if write and reader and write.transaction and reader.outcome() != ABORTED:
                    edges.setdefault(write.transaction.name, set()).add(reader.name)
        for part in strongly_connected(edges):
            if len(part) > 1 or part[0] in edges.get(part[0], ()):
                self.wrong("G1c", " reads from ".join(sorted(part) + sorted(part)[:1]))


def strongly_connected(edges):
    """Tarjan's, with a stack of its own: histories are long."""
    index, low, stack, on_stack, parts = {}, {}, [], set(), []
    for root in sorted(edges):
        if root in index:
            continue
        work = [(root, iter(sorted(edges.get(root, ()))))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, following = work[-1]
            for next_node in following:
                if next_node not in index:
                    index[next_node] = low[next_node] = len(index)
                    stack.append(next_node)
                    on_stack.add(next_node)
                    work.append((next_node, iter(sorted(edges.get(next_node, ())))))
                    break
                if next_node in on_stack:
                    low[node] = min(low[node], index[next_node])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    part = []
                    while not part or part[-1] != node:
                        part.append(stack.pop())
                        on_stack.discard(part[-1])
                    parts.append(part)
    return parts


def check(events, complete=False):
    """With `complete`, somebody read every key to its end after the last transaction had ended."""
    history = History(events)
    history.read()
    history.offsets()
    history.losses(complete)
    history.progress()
    history.circles()
    return history.found


def counts(events):
    """What a history has, to see that it says something."""
    history = History(events)
    history.read()
    states = [t.outcome() for t in history.transactions.values()]
    return {"transactions": len(states), **{state: states.count(state) for state in (COMMITTED, ABORTED, DOUBT)},
            "writes": len(history.writes), "reads": sum(isinstance(r, tuple) for _, _, _, records in history.polls for r in records)}
