"""What must be true of what the members of a group said: no partition has two owners, nothing is skipped, whoever takes over resumes.

check(events) takes [(member, event)] in order of time and returns what is wrong, as sentences. Events are those of README.md, and
    {"e": "killed"}     of a member that was ended with -9: it owns nothing from then on.
Processed twice may only be what a member could not commit: it was killed, or its commit failed.
"""


class Partition:
    def __init__(self):
        self.owner = None
        self.fresh = False  # its owner has processed nothing of it yet
        self.next = None  # after the last one that was processed
        self.committed = None
        self.doubt = False  # a commit failed since the last one that did not


class Check:
    def __init__(self, start=0):
        self.start = start
        self.partitions = {}
        self.problems = []

    def partition(self, number):
        return self.partitions.setdefault(number, Partition())

    def wrong(self, text):
        self.problems.append(text)

    def assigned(self, member, event):
        for number in event["p"]:
            p = self.partition(number)
            if p.owner not in (None, member):
                self.wrong(f"partition {number} went to {member} while {p.owner} had it")
            p.fresh = p.fresh or p.owner != member
            p.owner = member

    def revoked(self, member, event):
        for number in event["p"]:
            p = self.partition(number)
            if p.owner != member:
                continue
            p.owner = None
            if p.next is not None and p.next != p.committed and not p.doubt:
                self.wrong(f"{member} gave up partition {number} with offset {p.next - 1} processed and {p.committed} committed")

    def lost(self, member, event):
        """Its session had ended before it knew: another may have them by now."""
        for number in event["p"]:
            p = self.partition(number)
            if p.owner == member:
                p.owner = None

    def killed(self, member, _):
        self.lost(member, {"p": list(self.partitions)})

    def left(self, member, _):
        for number, p in self.partitions.items():
            if p.owner == member:
                self.wrong(f"{member} left and did not give up partition {number}")
                p.owner = None

    def records(self, member, event):
        number, p = event["p"], self.partition(event["p"])
        for offset in event["o"]:
            if p.owner != member:
                self.wrong(f"{member} processed offset {offset} of partition {number}, which {p.owner or 'nobody'} has")
                return
            following = self.start if p.next is None else p.next
            first = self.start if p.committed is None else p.committed
            if p.fresh and not first <= offset <= following:
                self.wrong(f"{member} began partition {number} at offset {offset}: {first} was committed, {following} comes next")
            elif not p.fresh and offset != following:
                self.wrong(f"{member} processed offset {offset} of partition {number} where {following} comes next")
            p.fresh = False
            p.next = offset + 1

    def committed(self, _, event):
        for number, offset in event["o"].items():
            p = self.partition(int(number))
            p.committed = offset
            p.doubt = False

    def commit_failed(self, _, event):
        """Without partitions: of any that its member may have tried."""
        for number in event["o"] or self.partitions:
            self.partition(int(number)).doubt = True

    def error(self, member, event):
        self.wrong(f"{member}: {event['m']}")

    def started(self, member, event):
        pass


def check(events, start=0):
    checked = Check(start)
    for member, event in events:
        getattr(checked, event["e"])(member, event)
    return checked.problems


def unread(events, ends):
    """What of the partitions' records, up to their ends, nobody processed or committed at last."""
    checked = Check()
    for member, event in events:
        getattr(checked, event["e"])(member, event)
    return [f"partition {number}: {checked.partition(number).next} processed and {checked.partition(number).committed} committed of {end}"
            for number, end in ends.items() if not checked.partition(number).next == checked.partition(number).committed == end]
