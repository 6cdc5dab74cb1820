"""For gdb, in a simulated history that stopped: what every fiber waits for, and what a node's memory holds.

    gdb --args build/dev/moldau-sim --world broker 42
    (gdb) source tools/sim_gdb.py
    (gdb) break sim_fail
    (gdb) run
    (gdb) nodefibers
    (gdb) blocks request printf "key %d, %u holds\\n", $p->header.api_key, $p->holds

nodefibers prints the call chain of each fiber of each shard of each node that is up. `blocks STRUCT COMMAND` runs a command for every block that
has the size of that struct, with $p pointing at it. Both need the frame of sim_fail, whose `s` is the simulation.
"""
import gdb

FRAMES = 14


def simulation():
    return gdb.parse_and_eval("s").dereference()


def nodes():
    kind = gdb.lookup_type("struct node")
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == "place")
    head = simulation()["nodes"]["head"]
    place = head["next"]
    while place != head.address:
        yield gdb.Value(int(place) - offset).cast(kind.pointer())
        place = place["next"]


def word(address):
    return int.from_bytes(gdb.selected_inferior().read_memory(address, 8).tobytes(), "little")


def call_chain(context):
    """boost.context keeps rbp at 48 and rip at 56 of a suspended context (x86-64)."""
    frame, place = word(context + 48), word(context + 56)
    names = []
    for _ in range(FRAMES):
        try:
            names.append(gdb.execute("info symbol %d" % place, to_string=True).split(" ")[0])
            place, frame = word(frame + 8), word(frame)
        except gdb.error:
            break
    return " < ".join(names)


def print_fibers(shard):
    kind = gdb.lookup_type("struct fiber")
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == "member")
    head = shard["fibers"]["all"]["head"]
    place = head["next"]
    while place != head.address:
        fiber = gdb.Value(int(place) - offset).cast(kind.pointer())
        print("    %s %s: %s" % (fiber["name"].string(), fiber["state"], call_chain(int(fiber["context"]))))
        place = place["next"]


class NodeFibers(gdb.Command):
    def __init__(self):
        super().__init__("nodefibers", gdb.COMMAND_USER)

    def invoke(self, _argument, _from_tty):
        for node in nodes():
            print(node["name"].string(), "up" if int(node["runtime"]) else "down")
            for i in range(int(node["shard_count"])):
                print("  shard", i)
                print_fibers(node["shards"][i]["shard"].dereference())


class Blocks(gdb.Command):
    def __init__(self):
        super().__init__("blocks", gdb.COMMAND_USER)

    def invoke(self, argument, _from_tty):
        name, command = argument.split(" ", 1)
        kind, block = gdb.lookup_type("struct " + name), gdb.lookup_type("struct block")
        for node in nodes():
            head = node["memory"]["blocks"]["head"]
            place = head["next"]
            while int(place) != int(head.address):
                if int(place.cast(block.pointer())["size"]) == kind.sizeof:
                    found = gdb.Value(int(place) + block.sizeof).cast(kind.pointer())
                    gdb.set_convenience_variable("p", found)
                    print(node["name"].string(), found)
                    gdb.execute(command)
                place = place.cast(block.pointer())["next"].cast(place.type)


NodeFibers()
Blocks()
