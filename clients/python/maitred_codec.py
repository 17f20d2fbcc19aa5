"""The frames and bodies of maitred's protocol, both encodings, with the standard library alone.

Written from docs/protocol.md. The messages come from wire_schema.txt, a copy of that page's last section.

    codec = Codec()
    frame = codec.encode("json", 1, "Ping", {})
    decoder = FrameDecoder()
    for kind, number, body in decoder.feed(received):
        name, fields = codec.decode("json", kind, body)

Values are the ones of the JSON encoding in both: ids are UUID text, an enum is "me" or {"visitor": "..."}, what is
absent is None.
"""

import json
import pathlib
import re
import struct
import uuid

MAX_BODY = 65_536
INTEGER_LIMIT = 1 << 53
_HEADER = struct.Struct(">IHI")
_TOKEN = re.compile(r"\s*(0x[0-9a-f]+|\w+|->|[{}():,|?])")
_NAME = re.compile(r"[a-z0-9_.-]{1,64}")
_PLAIN = {"bool", "u8", "u16", "u32", "u64", "time", "code"}


class ProtocolError(ValueError):
    """Bytes or values that are not a message."""


class FrameDecoder:
    """Cuts what arrives into (kind, request number, body)."""

    def __init__(self, limit=MAX_BODY):
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data):
        """The frames that are whole now that `data` has arrived."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "big")
            if length > self._limit:
                raise ProtocolError(f"a frame of {length} bytes")
            if len(self._buffer) < _HEADER.size + length:
                break
            _, kind, number = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + length
            frames.append((kind, number, bytes(self._buffer[_HEADER.size:end])))
            del self._buffer[:end]
        return frames


class _Schema:
    """Reads the schema's text: messages by name and kind, structs, enums, codes."""

    def __init__(self, text):
        self.messages, self.kinds, self.types, self.codes = {}, {}, {}, {}
        for line in text.splitlines():
            self._tokens = _TOKEN.findall(line)
            self._line(self._next())

    def _next(self):
        return self._tokens.pop(0)

    def _take(self, wanted):
        if self._tokens and self._tokens[0] == wanted:
            self._tokens.pop(0)
            return True
        return False

    def _line(self, word):
        if word == "codes":
            self._next()
            while not self._take("}"):
                number, name = self._next(), self._next()
                self.codes[int(number)] = name
                self._take(",")
        elif word in ("struct", "enum"):
            name = self._next()
            self.types[name] = (word, self._fields() if word == "struct" else self._variants())
        else:
            kind, name = int(self._next(), 16), self._next()
            self.messages[name, word] = (kind, self._fields())
            self.kinds[kind] = (name, self.messages[name, word][1])

    def _fields(self):
        fields = []
        self._next()
        while not self._take("}"):
            name = self._next()
            self._next()
            fields.append((name, self._type()))
            self._take(",")
        return fields

    def _variants(self):
        variants = []
        self._next()
        while not self._take("}"):
            name, held = self._next(), None
            if self._take("("):
                held = self._type()
                self._next()
            elif self._tokens[0] == "{":
                held = ("fields", self._fields())
            variants.append((name, held))
            self._take(",")
        return variants

    def _type(self):
        name = self._next()
        if name == "list":
            self._next()
            item = self._type()
            self._next()
            found = ("list", item, int(self._next()))
            self._next()
        elif name in ("text", "id", "name"):
            self._next()
            found = (name, self._next())
            self._next()
        else:
            found = (name,) if name in _PLAIN else ("named", name)
        return ("option", found) if self._take("?") else found


class _Reader:
    def __init__(self, body):
        self.body, self.at = body, 0

    def take(self, count):
        piece = self.body[self.at:self.at + count]
        if len(piece) < count:
            raise ProtocolError("the body ends too early")
        self.at += count
        return piece

    def varint(self):
        first = self.take(1)[0]
        if first <= 250:
            return first
        if first > 253:
            raise ProtocolError(f"byte {first} where a number begins")
        return int.from_bytes(self.take(1 << (first - 250)), "little")


def _varint(number):
    if number <= 250:
        return bytes([number])
    for marker, size in ((251, 2), (252, 4), (253, 8)):
        if number < 1 << (8 * size):
            return bytes([marker]) + number.to_bytes(size, "little")
    raise ProtocolError(f"{number} is too large")


def _number(shape, value):
    bits = {"u8": 8, "u16": 16, "u32": 32}.get(shape)
    limit = 1 << bits if bits else INTEGER_LIMIT
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < limit:
        raise ProtocolError(f"{value!r} is not a {shape}")
    return value


def _text(shape, value):
    what, detail = shape
    if not isinstance(value, str):
        raise ProtocolError(f"{value!r} is no text")
    if what == "name":
        if not _NAME.fullmatch(value):
            raise ProtocolError(f"{value!r} is no name")
    elif len(value.encode()) > int(detail) or "\0" in value:
        raise ProtocolError(f"a text of {len(value.encode())} bytes, of {detail}")
    return value


class Codec:
    """Messages to bodies and back. `encoding` is "bincode" or "json"."""

    def __init__(self, schema=None):
        path = pathlib.Path(__file__).with_name("wire_schema.txt")
        self._schema = _Schema(schema or path.read_text("utf-8"))
        self._code_numbers = {name: number for number, name in self._schema.codes.items()}

    def encode(self, encoding, number, name, fields, direction="request"):
        """The whole frame of the message `name`."""
        kind, shape = self._schema.messages[name, direction]
        out = bytearray()
        value = self._write_fields(shape, fields, out)
        body = bytes(out) if encoding == "bincode" else _compact(value)
        if len(body) > MAX_BODY:
            raise ProtocolError(f"a body of {len(body)} bytes")
        return _HEADER.pack(len(body), kind, number) + body

    def decode(self, encoding, kind, body):
        """(name, fields), or None for a kind that is not known: skip it."""
        if kind not in self._schema.kinds:
            return None
        name, shape = self._schema.kinds[kind]
        if encoding == "json":
            try:
                fields = json.loads(body)
            except ValueError as error:
                raise ProtocolError(str(error)) from error
            return name, self._write_fields(shape, fields, bytearray())
        reader = _Reader(body)
        fields = self._read_fields(shape, reader)
        if reader.at != len(body):
            raise ProtocolError(f"{len(body) - reader.at} bytes too many")
        return name, fields

    def _read_fields(self, fields, reader):
        return {name: self._read(shape, reader) for name, shape in fields}

    def _read(self, shape, reader):
        what = shape[0]
        if what == "bool" or what == "option":
            flag = reader.take(1)[0]
            if flag > 1:
                raise ProtocolError(f"{flag} is neither yes nor no")
            if what == "bool":
                return flag == 1
            return self._read(shape[1], reader) if flag else None
        if what == "u8":
            return reader.take(1)[0]
        if what in ("u16", "u32", "u64", "time"):
            return _number(what, reader.varint())
        if what in ("text", "name"):
            try:
                return _text(shape, reader.take(reader.varint()).decode())
            except UnicodeDecodeError as error:
                raise ProtocolError(str(error)) from error
        if what == "id":
            return str(uuid.UUID(bytes=bytes(reader.take(16))))
        if what == "code":
            return self._schema.codes.get(reader.varint(), "failed")
        if what == "list":
            count = reader.varint()
            if count > shape[2]:
                raise ProtocolError(f"{count} items, of {shape[2]}")
            return [self._read(shape[1], reader) for _ in range(count)]
        return self._read_named(shape[1], reader)

    def _read_named(self, name, reader):
        what, parts = self._schema.types[name]
        if what == "struct":
            return self._read_fields(parts, reader)
        number = reader.varint()
        if number >= len(parts):
            raise ProtocolError(f"{name} has no variant {number}")
        variant, held = parts[number]
        if held is None:
            return variant
        if held[0] == "fields":
            return {variant: self._read_fields(held[1], reader)}
        return {variant: self._read(held, reader)}

    def _write_fields(self, fields, value, out):
        """Appends the bincode of `value` and returns its JSON form: the known fields, in order."""
        if not isinstance(value, dict):
            raise ProtocolError(f"{value!r} is no object")
        return {name: self._write(shape, value.get(name), out) for name, shape in fields}

    def _write(self, shape, value, out):
        what = shape[0]
        if what == "option":
            out.append(value is not None)
            return None if value is None else self._write(shape[1], value, out)
        if what == "bool":
            if not isinstance(value, bool):
                raise ProtocolError(f"{value!r} is neither true nor false")
            out.append(value)
        elif what == "u8":
            out.append(_number(what, value))
        elif what in ("u16", "u32", "u64", "time"):
            out += _varint(_number(what, value))
        elif what in ("text", "name"):
            data = _text(shape, value).encode()
            out += _varint(len(data)) + data
        elif what == "id":
            out += _uuid(value)
        elif what == "code":
            value = value if value in self._code_numbers else "failed"
            out += _varint(self._code_numbers[value])
        elif what == "list":
            if not isinstance(value, list) or len(value) > shape[2]:
                raise ProtocolError(f"no list of at most {shape[2]} items")
            out += _varint(len(value))
            return [self._write(shape[1], item, out) for item in value]
        else:
            return self._write_named(shape[1], value, out)
        return value

    def _write_named(self, name, value, out):
        what, parts = self._schema.types[name]
        if what == "struct":
            return self._write_fields(parts, value, out)
        variant, content = (value, None) if isinstance(value, str) else next(iter(value.items()))
        for number, (known, held) in enumerate(parts):
            if known == variant and (held is None) == isinstance(value, str):
                out += _varint(number)
                if held is None:
                    return variant
                if held[0] == "fields":
                    return {variant: self._write_fields(held[1], content, out)}
                return {variant: self._write(held, content, out)}
        raise ProtocolError(f"{value!r} is no {name}")


def _uuid(value):
    try:
        return uuid.UUID(value).bytes
    except (ValueError, AttributeError, TypeError) as error:
        raise ProtocolError(f"{value!r} is no id") from error


def _compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
