"""A ClientHello of TLS 1.3 by hand (RFC 8446 4.1.2), without keys: the server has to ask for one, and names the group."""

import os
import socket
import struct


def vector(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size) + data


def extension(number: int, data: bytes) -> bytes:
    return struct.pack(">H", number) + vector(data, 2)


def hello(port: int, groups: list[int], name="interop.test") -> bytes:
    """Sends it; the first record of the answer."""
    extensions = b"".join([
        extension(0, vector(b"\0" + vector(name.encode(), 2), 2)),
        extension(10, vector(b"".join(struct.pack(">H", group) for group in groups), 2)),
        extension(13, vector(bytes.fromhex("040308040401"), 2)),
        extension(43, vector(b"\x03\x04", 1)),
        extension(51, vector(b"", 2)),
    ])
    body = b"\x03\x03" + os.urandom(32) + vector(os.urandom(32), 1) + vector(b"\x13\x01\x13\x02\x13\x03", 2)
    body += vector(b"\0", 1) + vector(extensions, 2)
    record = b"\x16\x03\x01" + vector(b"\x01" + vector(body, 3), 2)
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(record)
        reader = client.makefile("rb")
        head = reader.read(5)
        return head + reader.read(int.from_bytes(head[3:5]))


def selected_group(record: bytes) -> int:
    """The group that a HelloRetryRequest (RFC 8446 4.1.4) asks for."""
    if record[0] != 0x16 or record[5] != 2:
        raise AssertionError(f"this is no ServerHello: {record[:80].hex()}")
    at = 9 + 2 + 32  # the record's and the message's head, the version, the random
    at += 1 + record[at] + 2 + 1 + 2  # the session, the suite, the compression, the length
    while at < len(record):
        number, length = struct.unpack(">HH", record[at : at + 4])
        if number == 51:
            return int.from_bytes(record[at + 4 : at + 6])
        at += 4 + length
    raise AssertionError(f"a ServerHello without a group: {record.hex()}")
