"""Kafka's protocol for tests: messages as dicts, from src/protocol/api.schema, which says how each version lies on the wire.

    request("Metadata", 12, {"Topics": None}, correlation=1)   -> a whole frame
    decode_response("Metadata", 12, body)                      -> dict

Field names are the schema's. What is left out gets its default; unknown names are an error. It shares nothing with the broker
but the schema, so that the two check each other.
"""
import base64
import os
import re
import struct

SCHEMA = os.path.join(os.path.dirname(__file__), "..", "..", "src", "protocol", "api.schema")
NUMBERS = {"int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "float64": ">d"}


class Range:
    def __init__(self, text):
        if text == "none":
            self.low, self.high = 1, 0
        elif text.endswith("+"):
            self.low, self.high = int(text[:-1]), 1 << 15
        else:
            low, _, high = text.partition("-")
            self.low, self.high = int(low), int(high or low)

    def __contains__(self, version):
        return self.low <= version <= self.high


class Field:
    def __init__(self, name, kind, versions, attributes):
        self.name, self.versions = name, Range(versions)
        self.array = kind.startswith("[]")
        self.kind = kind[2:] if self.array else kind
        self.fields = []
        self.nullable, self.tag, self.tag_versions = Range("none"), None, Range("none")
        self.default = None
        self.flexible = True
        for attribute in attributes:
            name, _, value = attribute.partition("=")
            if name == "null":
                self.nullable = Range(value)
            elif name == "tag":
                tag, _, versions = value.partition(":")
                self.tag, self.tag_versions = int(tag), Range(versions)
            elif name == "default":
                self.default = value
            elif name == "flex":
                self.flexible = value != "none"

    def default_value(self, version):
        if self.default == "null" and version in self.nullable:
            return None
        if self.array:
            return []
        if self.kind in NUMBERS:
            return int(self.default or "0", 0) if self.kind != "float64" else float(self.default or 0)
        if self.kind == "bool":
            return self.default == "true"
        if self.kind == "string":
            return "" if self.default in (None, '""', "null") else self.default
        if self.kind in ("bytes", "records"):
            return b""
        if self.kind == "uuid":
            return "A" * 22
        return {f.name: f.default_value(version) for f in self.fields if version in f.versions}


class Message:
    def __init__(self, kind, name, attributes):
        self.kind, self.name, self.fields, self.structs = kind, name, [], {}
        self.key = int(attributes.get("apikey", -1))
        self.versions = Range(attributes.get("versions", "none"))
        self.flex = Range(attributes.get("flex", "none"))


def load(path=SCHEMA):
    messages, message, stack = {}, None, []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            text = line.split(" #")[0].rstrip()
            if not text or text.startswith("#") or text.startswith("api "):
                continue
            depth = (len(text) - len(text.lstrip(" "))) // 2
            words = text.split()
            if depth == 0:
                attributes = dict(re.match(r"([^=]+)=?(.*)", word).groups() for word in words[2:])
                message = Message(words[0], words[1], attributes)
                messages[words[1]] = message
                stack = [message.fields]
                continue
            del stack[depth:]
            if words[0] == "struct":
                message.structs[words[1]] = []
                stack.append(message.structs[words[1]])
                continue
            field = Field(words[0], words[1], words[2], words[3:])
            stack[depth - 1].append(field)
            if field.kind in message.structs:
                field.fields = message.structs[field.kind]
            stack.append(field.fields)
    for message in messages.values():
        resolve(message, message.fields)
    return messages


def resolve(message, fields):
    """A struct that is used before or apart from where it is written."""
    for field in fields:
        if field.fields and field.kind not in message.structs:
            message.structs[field.kind] = field.fields
    for field in fields:
        if not field.fields and field.kind in message.structs:
            field.fields = message.structs[field.kind]
        if field.fields:
            resolve(message, field.fields)


MESSAGES = load()
KEYS = {m.name[:-len("Request")]: m.key for m in MESSAGES.values() if m.kind == "request"}


def uvarint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def sized(data, flexible, width):
    """A string or bytes with its length, null as the encoding has it."""
    if flexible:
        return uvarint(0) if data is None else uvarint(len(data) + 1) + data
    return struct.pack(width, -1) if data is None else struct.pack(width, len(data)) + data


def encode_value(field, value, version, flexible):
    if field.kind in NUMBERS:
        return struct.pack(NUMBERS[field.kind], value)
    if field.kind == "bool":
        return b"\1" if value else b"\0"
    if field.kind == "uuid":
        return base64.urlsafe_b64decode(value + "==") if isinstance(value, str) else value
    if field.kind == "string":
        data = value.encode() if isinstance(value, str) else value
        return sized(data, flexible and field.flexible, ">h")
    if field.kind in ("bytes", "records"):
        return sized(value, flexible, ">i")
    if value is None:
        return b"\xff"
    prefix = b"\1" if version in field.nullable and not field.array else b""
    return prefix + encode_fields(field.fields, value, version, flexible)


def encode_field(field, value, version, flexible):
    if not field.array:
        return encode_value(field, value, version, flexible)
    if value is None:
        return uvarint(0) if flexible else struct.pack(">i", -1)
    count = uvarint(len(value) + 1) if flexible else struct.pack(">i", len(value))
    return count + b"".join(encode_value(field, item, version, flexible) for item in value)


def encode_fields(fields, values, version, flexible):
    out, tags = b"", []
    unknown = set(values) - {f.name for f in fields}
    if unknown:
        raise KeyError(f"no such fields: {sorted(unknown)}")
    for field in fields:
        if version not in field.versions:
            continue
        value = values.get(field.name, field.default_value(version))
        if version in field.tag_versions:
            if value != field.default_value(version):
                tags.append((field.tag, encode_field(field, value, version, True)))
        else:
            out += encode_field(field, value, version, flexible)
    if flexible:
        out += uvarint(len(tags)) + b"".join(uvarint(t) + uvarint(len(d)) + d for t, d in sorted(tags))
    return out


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if size < 0 or self.at + size > len(self.data):
            raise ValueError(f"{size} bytes wanted at {self.at} of {len(self.data)}")
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def sized(self, flexible, width):
        size = self.uvarint() - 1 if flexible else self.number(width)
        return None if size < 0 else self.take(size)


def decode_value(field, cursor, version, flexible):
    if field.kind in NUMBERS:
        return cursor.number(NUMBERS[field.kind])
    if field.kind == "bool":
        return cursor.take(1) != b"\0"
    if field.kind == "uuid":
        return base64.urlsafe_b64encode(cursor.take(16)).decode()[:22]
    if field.kind == "string":
        data = cursor.sized(flexible and field.flexible, ">h")
        return None if data is None else data.decode("utf-8", "replace")
    if field.kind in ("bytes", "records"):
        return cursor.sized(flexible, ">i")
    if version in field.nullable and not field.array and cursor.number(">b") < 0:
        return None
    return decode_fields(field.fields, cursor, version, flexible)


def decode_field(field, cursor, version, flexible):
    if not field.array:
        return decode_value(field, cursor, version, flexible)
    count = cursor.uvarint() - 1 if flexible else cursor.number(">i")
    return None if count < 0 else [decode_value(field, cursor, version, flexible) for _ in range(count)]


def decode_fields(fields, cursor, version, flexible):
    values = {}
    tagged = {}
    for field in fields:
        if version not in field.versions:
            continue
        if version in field.tag_versions:
            tagged[field.tag] = field
            values[field.name] = field.default_value(version)
        else:
            values[field.name] = decode_field(field, cursor, version, flexible)
    if flexible:
        for _ in range(cursor.uvarint()):
            tag, size = cursor.uvarint(), cursor.uvarint()
            data = cursor.take(size)
            if tag in tagged:
                values[tagged[tag].name] = decode_field(tagged[tag], Cursor(data), version, True)
            else:
                values[f"tag{tag}"] = data
    return values


def header_flexible(api, version):
    return version in MESSAGES[api + "Request"].flex


def request_header(key, version, correlation=1, client="test", flexible=False):
    header = struct.pack(">hhi", key, version, correlation) + sized(client.encode() if client is not None else None, False, ">h")
    return header + (b"\0" if flexible else b"")


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def request(api, version, body=None, correlation=1, client="test", extra=b""):
    message = MESSAGES[api + "Request"]
    flexible = version in message.flex
    payload = request_header(message.key, version, correlation, client, flexible)
    return frame(payload + encode_fields(message.fields, body or {}, version, flexible) + extra)


def decode_response(api, version, payload):
    """Correlation id and body of a response without its size."""
    message = MESSAGES[api + "Response"]
    flexible = version in message.flex
    cursor = Cursor(payload)
    correlation = cursor.number(">i")
    if flexible and api != "ApiVersions":
        for _ in range(cursor.uvarint()):
            cursor.uvarint()
            cursor.take(cursor.uvarint())
    body = decode_fields(message.fields, cursor, version, flexible)
    if cursor.at != len(payload):
        raise ValueError(f"{len(payload) - cursor.at} bytes after the end of {message.name}")
    return correlation, body


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def varint(value):
    return uvarint((value << 1 ^ value >> 63) & (1 << 64) - 1)


def batch(values, timestamp=0, producer=(-1, -1, -1), attributes=0, keys=None):
    """A record batch without headers, and without keys where none are given; `producer` is id, epoch and first sequence."""
    records = b""
    for delta, value in enumerate(values):
        key = varint(len(keys[delta])) + keys[delta] if keys else varint(-1)
        record = b"\0" + varint(0) + varint(delta) + key + varint(len(value)) + value + varint(0)
        records += varint(len(record)) + record
    body = struct.pack(">hiqqqhii", attributes, len(values) - 1, timestamp, timestamp, *producer, len(values)) + records
    return struct.pack(">qiibI", 0, len(body) + 9, -1, 2, crc32c(body)) + body


def produce(topic, partitions, records, acks=-1, timeout=30000):
    """A Produce v8 body: the same batch to each partition."""
    return {"Acks": acks, "TimeoutMs": timeout, "TopicData": [{"Name": topic, "PartitionData": [
        {"Index": i, "Records": records} for i in partitions]}]}


def produce_errors(answer):
    return [p["ErrorCode"] for t in answer["Responses"] for p in t["PartitionResponses"]]
