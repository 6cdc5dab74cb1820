#!/usr/bin/env python3
"""Turns schema files of Kafka's protocol into C: structs, and constant tables for src/protocol/codec.c.

    protocol_gen.py --schema a.schema [--schema b.schema] --out FOLDER [--unit messages]
        writes FOLDER/<unit>.h and FOLDER/<unit>.c
    protocol_gen.py --show Fetch [--schema ...]
        prints what comes out for one API or one message: its structs, and what each version has on the wire

The same input gives the same output, byte for byte. What a table means: src/protocol/message_type.h. The notation of the
schema files: src/protocol/README.md.
"""

import argparse
import os
import re
import sys
from dataclasses import dataclass, field as dataclass_field

OPEN_END = 32767
INT_TYPES = {
    # schema name: (C type, enum field_type, enum wire, bytes on the wire, least, most)
    "int8": ("int8_t", "FIELD_INT8", "WIRE_INT8", 1, -(2**7), 2**7 - 1),
    "int16": ("int16_t", "FIELD_INT16", "WIRE_INT16", 2, -(2**15), 2**15 - 1),
    "uint16": ("uint16_t", "FIELD_UINT16", "WIRE_INT16", 2, 0, 2**16 - 1),
    "int32": ("int32_t", "FIELD_INT32", "WIRE_INT32", 4, -(2**31), 2**31 - 1),
    "uint32": ("uint32_t", "FIELD_UINT32", "WIRE_INT32", 4, 0, 2**32 - 1),
    "int64": ("int64_t", "FIELD_INT64", "WIRE_INT64", 8, -(2**63), 2**63 - 1),
}
FIXED_TYPES = {name: row[:4] for name, row in INT_TYPES.items()}
FIXED_TYPES["bool"] = ("bool", "FIELD_BOOL", "WIRE_BOOL", 1)
FIXED_TYPES["float64"] = ("double", "FIELD_FLOAT64", "WIRE_INT64", 8)
FIXED_TYPES["uuid"] = ("struct uuid", "FIELD_UUID", "WIRE_UUID", 16)
TEXT_TYPES = {
    # schema name: (enum field_type, plain wire, least bytes plain)
    "string": ("FIELD_STRING", "STRING", 2),
    "bytes": ("FIELD_BYTES", "BYTES", 4),
    "records": ("FIELD_RECORDS", "BYTES", 4),
}
KINDS = {
    "header": "MESSAGE_HEADER",
    "request": "MESSAGE_REQUEST",
    "response": "MESSAGE_RESPONSE",
    "data": "MESSAGE_DATA",
    "metadata": "MESSAGE_METADATA",
    "coordinator-key": "MESSAGE_COORDINATOR_KEY",
    "coordinator-value": "MESSAGE_COORDINATOR_VALUE",
}
# A field of one of these names gets a trailing underscore.
C_KEYWORDS = set(
    "auto bool break case char const continue default do double else enum extern float for goto if inline int long "
    "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
    "true false".split()
)


class SchemaError(Exception):
    """A schema that cannot be turned into C; the text says where and why."""


def snake(name):
    """TopicId -> topic_id, IsrNodes -> isr_nodes, KRaftVersion -> k_raft_version: an underscore before each capital that
    follows a small letter or digit, and before the last capital of a run that a small letter follows."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return name.lower()


def field_name(name):
    c_name = snake(name)
    return c_name + "_" if c_name in C_KEYWORDS else c_name


@dataclass(frozen=True)
class Range:
    """Versions first..last; empty when first > last."""

    first: int
    last: int

    def __contains__(self, version):
        return self.first <= version <= self.last

    def covers(self, other):
        return other.empty or (self.first <= other.first and other.last <= self.last)

    def common(self, other):
        return Range(max(self.first, other.first), min(self.last, other.last))

    @property
    def empty(self):
        return self.first > self.last

    def __str__(self):
        if self.empty:
            return "none"
        if self.last == OPEN_END:
            return f"{self.first}+"
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


NO_VERSIONS = Range(1, 0)


def parse_range(text, place):
    if text == "none":
        return NO_VERSIONS
    match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text)
    if not match:
        raise SchemaError(f"{place}: '{text}' is no range of versions (3, 3-7, 3+ or none)")
    first = int(match[1])
    result = Range(first, OPEN_END if match[2] else int(match[3]) if match[3] else first)
    if result.empty:
        raise SchemaError(f"{place}: the range '{text}' ends before it begins")
    return result


@dataclass
class Field:
    name: str
    type: str  # of an array: of its elements
    is_array: bool
    versions: Range
    place: str
    null: Range = NO_VERSIONS
    tag: int = -1
    tagged: Range = NO_VERSIONS
    default: str = None
    ignorable: bool = False
    never_compact: bool = False
    struct: "Struct" = None

    @property
    def c_name(self):
        return field_name(self.name)

    @property
    def json_name(self):
        return self.name[0].lower() + self.name[1:]

    @property
    def is_pointer(self):
        """A struct that may be null."""
        return self.struct is not None and not self.is_array and not self.null.empty

    @property
    def schema_type(self):
        return ("[]" if self.is_array else "") + self.type


@dataclass
class Struct:
    name: str
    c_name: str
    versions: Range
    place: str
    fields: list = dataclass_field(default_factory=list)


@dataclass
class Message:
    kind: str
    name: str
    versions: Range
    flexible: Range
    place: str
    key: int = -1
    listeners: tuple = ()
    unstable: bool = False
    body: Struct = None
    structs: dict = dataclass_field(default_factory=dict)  # name -> Struct, without the body
    plans: dict = dataclass_field(default_factory=dict)  # (struct name, version) -> Plan

    @property
    def c_name(self):
        # `struct request_header` is the codec's own, which hides the versions of the generated one.
        return snake(self.name) + ("_data" if self.kind == "header" else "")


@dataclass
class Api:
    key: int
    name: str
    place: str
    request: Message = None
    response: Message = None


# --- reading ----------------------------------------------------------------------------------------------------------


class Parser:
    def __init__(self):
        self.messages = []
        self.apis = []
        self.names = {}

    def parse(self, path):
        with open(path, encoding="utf-8") as source:
            self.parse_lines(source.read().splitlines(), os.path.basename(path))

    def parse_lines(self, lines, file_name):
        message = None
        open_structs = []  # the struct that fields of each level belong to
        for number, line in enumerate(lines, 1):
            place = f"{file_name}:{number}"
            tokens = line.split()
            if not tokens or tokens[0].startswith("#"):
                continue
            if "\t" in line:
                raise SchemaError(f"{place}: indent with spaces, not tabs")
            indent = len(line) - len(line.lstrip(" "))
            if indent % 2:
                raise SchemaError(f"{place}: an odd number of spaces before '{tokens[0]}'")
            level = indent // 2
            if level == 0:
                message = self.top_line(tokens, place)
                open_structs = [message.body] if message else []
                continue
            if message is None:
                raise SchemaError(f"{place}: a field outside of a message")
            if level > len(open_structs) or open_structs[level - 1] is None:
                raise SchemaError(f"{place}: '{tokens[0]}' is indented more than what it could belong to")
            del open_structs[level:]
            if tokens[0] == "struct":
                open_structs.append(self.shared_struct(message, tokens, place))
            else:
                open_structs.append(self.field_line(message, open_structs[-1], tokens, place))

    def top_line(self, tokens, place):
        if tokens[0] == "api":
            if len(tokens) != 3 or not tokens[1].isdigit():
                raise SchemaError(f"{place}: expected 'api <key> <name>'")
            api = Api(int(tokens[1]), tokens[2], place)
            for other in self.apis:
                if other.key == api.key or other.name == api.name:
                    raise SchemaError(f"{place}: API {api.key} {api.name} was at {other.place} already")
            self.apis.append(api)
            return None
        if tokens[0] not in KINDS:
            raise SchemaError(f"{place}: '{tokens[0]}' is no kind of message ({', '.join(KINDS)})")
        message = self.message_line(tokens, place)
        self.messages.append(message)
        if message.kind in ("request", "response"):
            api = next((a for a in self.apis if a.key == message.key), None)
            if not api:
                raise SchemaError(f"{place}: {message.name} has apikey={message.key}, which no 'api' line names")
            if getattr(api, message.kind):
                raise SchemaError(f"{place}: API {api.key} {api.name} has two {message.kind}s")
            setattr(api, message.kind, message)
        return message

    def message_line(self, tokens, place):
        if len(tokens) < 2:
            raise SchemaError(f"{place}: the {tokens[0]} has no name")
        attributes = {}
        for token in tokens[2:]:
            name, _, value = token.partition("=")
            if name not in ("apikey", "versions", "flex", "listeners", "deprecated", "unstable"):
                raise SchemaError(f"{place}: unknown attribute '{token}' of a message")
            attributes[name] = value
        if "versions" not in attributes:
            raise SchemaError(f"{place}: {tokens[1]} has no versions=")
        if "apikey" in attributes and not attributes["apikey"].isdigit():
            raise SchemaError(f"{place}: apikey={attributes['apikey']} is no number")
        message = Message(
            kind=tokens[0],
            name=tokens[1],
            versions=parse_range(attributes["versions"], place),
            flexible=parse_range(attributes.get("flex", "none"), place),
            key=int(attributes.get("apikey", -1)),
            listeners=tuple(filter(None, attributes.get("listeners", "").split(","))),
            unstable="unstable" in attributes,
            place=place,
        )
        if message.versions.last == OPEN_END:
            raise SchemaError(f"{place}: the versions of {message.name} have no end")
        message.body = Struct(message.name, message.c_name, message.versions, place)
        self.claim(message.c_name, place)
        return message

    def claim(self, c_name, place):
        """Every C struct has one name in all files."""
        if c_name in self.names:
            raise SchemaError(f"{place}: struct {c_name} was made at {self.names[c_name]} already")
        self.names[c_name] = place

    def add_struct(self, message, name, versions, place):
        if name in message.structs:
            raise SchemaError(f"{place}: {message.name} has a struct {name} at {message.structs[name].place} already")
        struct = Struct(name, f"{message.c_name}_{snake(name)}", versions, place)
        self.claim(struct.c_name, place)
        message.structs[name] = struct
        return struct

    def shared_struct(self, message, tokens, place):
        if len(tokens) != 3:
            raise SchemaError(f"{place}: expected 'struct <name> <versions>'")
        return self.add_struct(message, tokens[1], parse_range(tokens[2], place), place)

    def field_line(self, message, owner, tokens, place):
        """Adds the field to its struct. Returns the struct that more deeply indented fields belong to, or None."""
        if len(tokens) < 3:
            raise SchemaError(f"{place}: expected '<name> <type> <versions> [attributes]'")
        name, type_name = tokens[0], tokens[1]
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name):
            raise SchemaError(f"{place}: '{name}' is no name of a field")
        field = Field(name, type_name.removeprefix("[]"), type_name.startswith("[]"), parse_range(tokens[2], place), place)
        for token in tokens[3:]:
            self.field_attribute(field, token)
        for other in owner.fields:
            if other.c_name == field.c_name:
                raise SchemaError(f"{place}: {owner.name} has a field {field.c_name} at {other.place} already")
        owner.fields.append(field)
        if field.type in FIXED_TYPES or field.type in TEXT_TYPES:
            return None
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", field.type):
            raise SchemaError(f"{place}: unknown type '{type_name}' of {name}")
        # Its fields may stand below this line, or in a `struct` anywhere in the message.
        return FieldStruct(self, message, field)

    def field_attribute(self, field, token):
        name, has_value, value = token.partition("=")
        if name == "null":
            field.null = parse_range(value, field.place)
        elif name == "tag":
            number, _, versions = value.partition(":")
            if not number.isdigit():
                raise SchemaError(f"{field.place}: '{token}' should be tag=<number>:<versions>")
            field.tag = int(number)
            field.tagged = parse_range(versions, field.place)
        elif name == "default":
            field.default = value
        elif token == "ignorable":
            field.ignorable = True
        elif token == "flex=none":
            field.never_compact = True
        elif token not in ("key", "zerocopy") and name != "entity":
            raise SchemaError(f"{field.place}: unknown attribute '{token}' of field {field.name}")


class FieldStruct:
    """Stands for the struct of a field until a deeper line shows that it is defined right here."""

    def __init__(self, parser, message, field):
        self.parser, self.message, self.field = parser, message, field
        self.struct = None

    @property
    def name(self):
        return self.field.type

    @property
    def fields(self):
        if self.struct is None:
            self.struct = self.parser.add_struct(self.message, self.field.type, self.field.versions, self.field.place)
        return self.struct.fields


# --- checking and laying out ------------------------------------------------------------------------------------------


def link(message):
    """Points fields at their structs and checks what the notation cannot say by itself."""
    for struct in [message.body, *message.structs.values()]:
        if not struct.fields and struct is not message.body:
            raise SchemaError(f"{struct.place}: struct {struct.name} has no fields")
        for field in struct.fields:
            if field.type not in FIXED_TYPES and field.type not in TEXT_TYPES:
                field.struct = message.structs.get(field.type)
                if not field.struct:
                    raise SchemaError(f"{field.place}: {message.name} has no struct {field.type}")
            check_field(message, field)
    message.order = struct_order(message)


def check_field(message, field):
    living = field.versions.common(message.versions)
    nullable = field.is_array or field.struct or field.type in TEXT_TYPES
    if not field.null.empty and not nullable:
        raise SchemaError(f"{field.place}: {field.name} is {field.type} and cannot be null")
    if field.default == "null" and not field.null.covers(living):
        raise SchemaError(f"{field.place}: {field.name} is null by default, but not nullable in all its versions")
    if not message.flexible.covers(field.tagged.common(message.versions)):
        raise SchemaError(f"{field.place}: {field.name} is tagged in versions that have no tag section")
    if field.type == "records" and (field.is_array or not field.tagged.empty):
        raise SchemaError(f"{field.place}: records in an array or a tag section cannot be sent without a copy")
    c_default(field)


def struct_order(message):
    """The structs of a message, inner ones first, the body last."""
    order, open_names = [], []

    def visit(struct):
        if struct in order:
            return
        if struct.name in open_names:
            raise SchemaError(f"{struct.place}: struct {struct.name} contains itself")
        open_names.append(struct.name)
        for field in struct.fields:
            if field.struct:
                visit(field.struct)
        open_names.pop()
        order.append(struct)

    for struct in [*message.structs.values(), message.body]:
        visit(struct)
    return order


def c_default(field):
    """The field's default as a C initialiser; None where all zero bytes are right."""
    value = field.default
    if field.is_array:
        if value not in (None, "null"):
            raise SchemaError(f"{field.place}: the default of an array can only be null")
        return None
    if field.struct:
        if value not in (None, "null"):
            raise SchemaError(f"{field.place}: the default of a struct can only be null")
        if field.is_pointer:
            return None if value == "null" else f"&{field.struct.c_name}_defaults"
        return struct_default(field.struct)
    if field.type in TEXT_TYPES:
        if value not in (None, '""', "null"):
            raise SchemaError(f"{field.place}: no default but \"\" and null is known for {field.type}")
        return None if value == "null" else "NO_BYTES"
    if value is None:
        return None
    if field.type == "bool" and value in ("true", "false"):
        return "true" if value == "true" else None
    if field.type in INT_TYPES:
        return int_default(field)
    raise SchemaError(f"{field.place}: '{value}' is no default of a {field.type}")


def int_default(field):
    least, most = INT_TYPES[field.type][4:]
    try:
        number = int(field.default, 0)
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise SchemaError(f"{field.place}: '{field.default}' is no {field.type}")
    if number == 0:
        return None
    if number == least and field.type in ("int32", "int64"):
        return field.type.upper() + "_MIN"
    return f"INT64_C({number})" if field.type == "int64" else str(number)


def field_initialisers(field):
    """(member, value) pairs that differ from zero."""
    if field.is_array:
        return [(field.c_name + "_count", "-1")] if field.default == "null" else []
    value = c_default(field)
    return [] if value is None else [(field.c_name, value)]


def struct_default(struct):
    pairs = [pair for field in struct.fields for pair in field_initialisers(field)]
    if not pairs:
        return None
    return "{" + ", ".join(f".{member} = {value}" for member, value in pairs) + "}"


@dataclass(frozen=True)
class Step:
    field: Field
    index: int
    wire: str
    element_wire: str
    least: int  # bytes on the wire
    element_least: int
    nullable: bool
    plan: "Plan"

    def key(self):
        return (self.index, self.wire, self.element_wire, self.element_least, self.nullable, id(self.plan))


@dataclass(eq=False)
class Plan:
    struct: Struct
    c_name: str
    steps: list
    tagged: list
    lacking: list
    flexible: bool
    least: int

    def key(self):
        return (
            tuple(s.key() for s in self.steps),
            tuple((s.field.tag,) + s.key() for s in self.tagged),
            tuple(self.lacking),
            self.flexible,
        )


def step_of(message, plans, field, index, version, is_tagged):
    compact = version in message.flexible and not field.never_compact
    nullable = version in field.null
    wire, least, plan = value_wire(plans, field, version, compact)
    if field.is_array:
        element_least = max(1, least)
        array = "WIRE_COMPACT_ARRAY" if compact else "WIRE_ARRAY"
        return Step(field, index, array, wire, 1 if compact else 4, element_least, nullable, plan)
    if field.struct and nullable:
        wire, least = ("WIRE_TAGGED_NULLABLE_STRUCT" if is_tagged else "WIRE_NULLABLE_STRUCT"), 1
    elif field.is_pointer:
        # In memory a pointer, on the wire as if it were no pointer: nobody's schema has it, so nobody decodes it.
        raise SchemaError(f"{field.place}: struct {field.name} is nullable in some of its versions only")
    return Step(field, index, wire, "0", least, 0, nullable, plan)


def value_wire(plans, field, version, compact):
    """(wire, least bytes, plan) of one value of the field's type, or of one element."""
    if field.struct:
        plan = plans[field.struct.name, version]
        return "WIRE_STRUCT", plan.least, plan
    if field.type in FIXED_TYPES:
        return FIXED_TYPES[field.type][2], FIXED_TYPES[field.type][3], None
    _, wire, least = TEXT_TYPES[field.type]
    return ("WIRE_COMPACT_" if compact else "WIRE_") + wire, 1 if compact else least, None


def used_structs(struct, version, found):
    """The structs that one version reaches, inner ones first."""
    for field in struct.fields:
        if field.struct and version in field.versions and field.struct not in found:
            used_structs(field.struct, version, found)
    found.append(struct)
    return found


def lay_out(message):
    """Makes the plans: one for each struct and each run of versions that look the same."""
    made = {}
    for version in range(message.versions.first, message.versions.last + 1):
        for struct in used_structs(message.body, version, []):
            plan = make_plan(message, struct, version)
            plan = made.setdefault((struct.name, plan.key()), plan)
            message.plans[struct.name, version] = plan


def make_plan(message, struct, version):
    plan = Plan(struct, f"{struct.c_name}_v{version}", [], [], [], version in message.flexible, 0)
    for index, field in enumerate(struct.fields):
        if version not in field.versions:
            if not field.ignorable:
                plan.lacking.append(index)
            continue
        is_tagged = version in field.tagged
        step = step_of(message, message.plans, field, index, version, is_tagged)
        (plan.tagged if is_tagged else plan.steps).append(step)
    plan.tagged.sort(key=lambda step: step.field.tag)
    tags = [step.field.tag for step in plan.tagged]
    if len(set(tags)) != len(tags):
        raise SchemaError(f"{struct.place}: version {version} of {struct.name} has a tag twice")
    if len(tags) > 32:
        raise SchemaError(f"{struct.place}: {struct.name} has over 32 tagged fields, more than the codec can mark")
    for step in plan.tagged:
        if step.plan and has_records(step.plan):
            raise SchemaError(f"{step.field.place}: records inside of the tagged {step.field.name} cannot be cut out")
    plan.least = sum(step.least for step in plan.steps) + (1 if plan.flexible else 0)
    return plan


def has_records(plan):
    return any(s.field.type == "records" or (s.plan and has_records(s.plan)) for s in plan.steps + plan.tagged)


def load(paths):
    parser = Parser()
    for path in paths:
        parser.parse(path)
    finish(parser)
    return parser


def finish(parser):
    for message in parser.messages:
        link(message)
        lay_out(message)
    for api in parser.apis:
        if not api.request or not api.response:
            raise SchemaError(f"{api.place}: API {api.key} {api.name} lacks its request or its response")
        if api.request.versions != api.response.versions or api.request.flexible != api.response.flexible:
            raise SchemaError(f"{api.place}: request and response of {api.name} differ in their versions")


# --- writing ----------------------------------------------------------------------------------------------------------


def c_type(field):
    if field.struct:
        return f"struct {field.struct.c_name}"
    return FIXED_TYPES[field.type][0] if field.type in FIXED_TYPES else "struct bytes"


def declare(struct, is_body):
    lines = [f"struct {struct.c_name} {{"]
    for field in struct.fields:
        note = f"/* {field.schema_type} {field.versions}"
        if not field.null.empty:
            note += f", null {field.null}"
        if field.tag >= 0:
            note += f", tag {field.tag}"
        note += " */"
        if field.is_array:
            lines.append(f"\t{c_type(field)} *{field.c_name}; {note}")
            lines.append(f"\tint32_t {field.c_name}_count;")
        elif field.is_pointer:
            lines.append(f"\tconst {c_type(field)} *{field.c_name}; {note}")
        else:
            lines.append(f"\t{c_type(field)} {field.c_name}; {note}")
    if is_body:
        lines.append("\tstruct tagged_fields unknown_tags;")
    lines.append("};")
    return lines


def alive(messages):
    return [message for message in messages if not message.versions.empty]


def header_text(parser, unit):
    guard = f"PROTOCOL_{unit.upper()}_H"
    one = unit.removesuffix("s")
    out = [
        "/* Generated by tools/protocol_gen.py from the schema files in src/protocol; changes belong there. */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        '#include "protocol/message_type.h"',
        "",
    ]
    if parser.apis:
        out += ["enum api_key {"]
        out += [f"\tAPI_{snake(api.name).upper()} = {api.key}," for api in sorted(parser.apis, key=lambda a: a.key)]
        out += ["};", ""]
    for message in alive(parser.messages):
        flexible = "" if message.flexible.empty else f", flexible {message.flexible}"
        out.append(f"/* {message.kind} {message.name}, versions {message.versions}{flexible} */")
        for struct in message.order:
            out += declare(struct, struct is message.body)
        out += [f"extern const struct message_struct {struct.c_name}_struct;" for struct in message.order]
        out += [
            f"_Static_assert(sizeof(struct {message.c_name}) <= MESSAGE_MAX_SIZE_BYTES, \"message_type.h\");",
            f"extern const struct message_type {message.c_name}_type;",
            "",
        ]
    out += [
        "/* Every message above, in the order of the schema files. */",
        f"extern const struct message_type *const {one}_types[];",
        f"extern const size_t {one}_type_count;",
        "",
    ]
    if parser.apis:
        out += ["/* The APIs, by rising key. */", "extern const struct api apis[];", "extern const size_t api_count;", ""]
    return "\n".join(out + ["#endif", ""])


def struct_tables(struct):
    name = struct.c_name
    rows = []
    for field in struct.fields:
        kind = "FIELD_STRUCT" if field.struct else (FIXED_TYPES[field.type][1] if field.type in FIXED_TYPES else TEXT_TYPES[field.type][0])
        of = f"&{field.struct.c_name}_struct" if field.struct else "NULL"
        rows.append(
            f'\t{{"{field.json_name}", {kind}, {c_bool(field.is_array)}, {c_bool(field.is_pointer)}, '
            f"offsetof(struct {name}, {field.c_name}), {of}}},"
        )
    out = [f"static const struct {name} {name}_defaults = {struct_default(struct) or '{0}'};"]
    fields = "NULL"
    if rows:
        out += [f"static const struct message_field {name}_fields[] = {{", *rows, "};"]
        fields = f"{name}_fields"
    out += [
        f"const struct message_struct {name}_struct = {{",
        f'\t"{name}", {fields}, &{name}_defaults, {len(rows)}, sizeof(struct {name}),',
        "};",
    ]
    return out


def c_bool(value):
    return "true" if value else "false"


def is_noted(field):
    """Records, which can be cut out, and error codes, which are counted."""
    return field.type == "records" or (field.type == "int16" and not field.is_array and field.name.endswith("rrorCode"))


def step_row(step):
    field = step.field
    size = f"sizeof({c_type(field)})" if field.is_array else "0"
    plan = f"&{step.plan.c_name}" if step.plan else "NULL"
    return (
        f"\t{{{step.wire}, {step.element_wire}, {c_bool(step.nullable)}, {c_bool(is_noted(field))}, {step.index}, "
        f"OFFSET({field.c_name}), {size}, {max(field.tag, 0)}, {step.element_least}, {plan}}},"
    )


def plan_tables(plan):
    out = [f"#define OFFSET(field) offsetof(struct {plan.struct.c_name}, field)"]
    names = []
    for part, rows in (("steps", plan.steps), ("tagged", plan.tagged)):
        if rows:
            out += [f"static const struct message_step {plan.c_name}_{part}[] = {{", *map(step_row, rows), "};"]
        names.append(f"{plan.c_name}_{part}" if rows else "NULL")
    if plan.lacking:
        out.append(f"static const uint16_t {plan.c_name}_lacking[] = {{{', '.join(map(str, plan.lacking))}}};")
    names.append(f"{plan.c_name}_lacking" if plan.lacking else "NULL")
    out += [
        f"static const struct message_plan {plan.c_name} = {{",
        f"\t&{plan.struct.c_name}_struct, {', '.join(names)}, {len(plan.steps)}, {len(plan.tagged)}, {len(plan.lacking)}, "
        f"{c_bool(plan.flexible)},",
        "};",
        "#undef OFFSET",
    ]
    return out


def plans_in_order(message):
    """Every plan once, inner ones first."""
    found = []
    for struct in message.order:
        for version in range(message.versions.first, message.versions.last + 1):
            plan = message.plans.get((struct.name, version))
            if plan and plan not in found:
                found.append(plan)
    return found


def message_tables(message):
    name = message.c_name
    out = [f"/* {message.kind} {message.name} */"]
    for struct in message.order:
        out += struct_tables(struct)
    for plan in plans_in_order(message):
        out += plan_tables(plan)
    versions = range(message.versions.first, message.versions.last + 1)
    out += [f"static const struct message_plan *const {name}_plans[] = {{"]
    out += [f"\t&{message.plans[message.body.name, version].c_name}," for version in versions]
    out += [
        "};",
        f"const struct message_type {name}_type = {{",
        f'\t.name = "{message.name}",',
        f"\t.kind = {KINDS[message.kind]},",
        f"\t.key = {message.key},",
        f"\t.first_version = {message.versions.first},",
        f"\t.last_version = {message.versions.last},",
        f"\t.flexible_from = {flexible_from(message)},",
        f"\t.unknown_tags_offset = offsetof(struct {name}, unknown_tags),",
        f"\t.body = &{name}_struct,",
        f"\t.plans = {name}_plans,",
        "};",
        "",
    ]
    return out


def flexible_from(message):
    common = message.flexible.common(message.versions)
    return "VERSION_NONE" if common.empty else str(common.first)


def source_text(parser, unit):
    one = unit.removesuffix("s")
    out = [
        "/* Generated by tools/protocol_gen.py from the schema files in src/protocol; changes belong there. */",
        f'#include "protocol/{unit}.h"',
        "",
        '#define NO_BYTES {(const uint8_t *)"", 0}',
        "",
    ]
    for message in alive(parser.messages):
        out += message_tables(message)
    out += [f"const struct message_type *const {one}_types[] = {{"]
    out += [f"\t&{message.c_name}_type," for message in alive(parser.messages)]
    out += ["};", f"const size_t {one}_type_count = sizeof({one}_types) / sizeof({one}_types[0]);", ""]
    if parser.apis:
        out += ["const struct api apis[] = {"]
        out += [api_row(api) for api in sorted(parser.apis, key=lambda a: a.key) if not api.request.versions.empty]
        out += ["};", "const size_t api_count = sizeof(apis) / sizeof(apis[0]);", ""]
    return "\n".join(out)


def api_row(api):
    request = api.request
    return (
        f"\t{{{api.key}, {request.versions.first}, {request.versions.last}, {flexible_from(request)}, "
        f"{c_bool(request.unstable)}, {c_bool('broker' in request.listeners)}, {c_bool('controller' in request.listeners)}, "
        f'"{api.name}", &{request.c_name}_type, &{api.response.c_name}_type}},'
    )


def write_if_changed(path, text):
    """Keeps the file's time when nothing changed, so that nothing is built again."""
    try:
        with open(path, encoding="utf-8") as old:
            if old.read() == text:
                return
    except FileNotFoundError:
        pass
    with open(path, "w", encoding="utf-8") as new:
        new.write(text)


# --- showing ----------------------------------------------------------------------------------------------------------


def show(parser, name):
    wanted = [m for a in parser.apis if a.name.lower() == name.lower() for m in (a.request, a.response)]
    wanted += [m for m in parser.messages if name.lower() in (m.name.lower(), m.c_name.lower()) and m not in wanted]
    if not wanted:
        near = [a.name for a in parser.apis if name.lower() in a.name.lower()]
        near += [m.name for m in parser.messages if name.lower() in m.name.lower()]
        hint = f"; there is {', '.join(near[:8])}" if near else ""
        raise SchemaError(f"no API or message is called {name}{hint}")
    return "\n".join(line for message in wanted for line in show_message(message))


def show_message(message):
    if message.versions.empty:
        return [f"{message.kind} {message.name}: no version left, nothing is generated", ""]
    key = f", key {message.key}" if message.key >= 0 else ""
    out = [f"{message.kind} {message.name}{key}, versions {message.versions}, flexible {message.flexible}", ""]
    for struct in message.order:
        out += declare(struct, struct is message.body) + [""]
    out.append(f"const struct message_type {message.c_name}_type:")
    for plan in plans_in_order(message):
        out += show_plan(message, plan)
    return out + [""]


def show_plan(message, plan):
    versions = [v for (name, v), p in message.plans.items() if p is plan]
    out = [f"  {plan.c_name}: versions {show_versions(versions)}, at least {plan.least} bytes"]
    for step in plan.steps:
        out.append(f"    {show_step(step)}")
    for step in plan.tagged:
        out.append(f"    tag {step.field.tag}: {show_step(step)}")
    if plan.lacking:
        names = ", ".join(plan.struct.fields[index].c_name for index in plan.lacking)
        out.append(f"    lacks, so must be at their default: {names}")
    if plan.flexible:
        out.append("    tag section")
    return out


def show_versions(versions):
    runs = []
    for version in sorted(versions):
        if runs and runs[-1][1] == version - 1:
            runs[-1][1] = version
        else:
            runs.append([version, version])
    return ", ".join(str(Range(first, last)) for first, last in runs)


def show_step(step):
    wire = step.wire.removeprefix("WIRE_").lower()
    if step.field.is_array:
        wire += " of " + step.element_wire.removeprefix("WIRE_").lower()
    if step.plan:
        wire += f" {step.plan.c_name}"
    default = "" if step.field.default is None else f", default {step.field.default}"
    return f"{step.field.c_name}: {wire}{', nullable' if step.nullable else ''}{default}"


def main(arguments):
    protocol = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src", "protocol")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schema", action="append", help="a schema file; several make one unit")
    parser.add_argument("--out", help="the folder that gets <unit>.h and <unit>.c")
    parser.add_argument("--unit", default="messages", help="the name of the two files (default: messages)")
    parser.add_argument("--show", metavar="NAME", help="print what comes out for an API or a message")
    options = parser.parse_args(arguments)
    if not options.out and not options.show:
        parser.error("say --out FOLDER or --show NAME")
    paths = options.schema or [os.path.join(protocol, name) for name in ("api.schema", "records.schema")]
    try:
        schema = load(paths)
        if options.show:
            print(show(schema, options.show))
        if options.out:
            os.makedirs(options.out, exist_ok=True)
            write_if_changed(os.path.join(options.out, options.unit + ".h"), header_text(schema, options.unit))
            write_if_changed(os.path.join(options.out, options.unit + ".c"), source_text(schema, options.unit))
    except (SchemaError, OSError) as error:
        print(f"protocol_gen: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
