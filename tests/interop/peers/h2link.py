"""Connections of HTTP/2, of either side, by hyper-h2."""

import asyncio
import contextlib

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, PingAckReceived, RequestReceived, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import Settings

from harness import eventually, same

REQUEST = {":method": "PUT", ":scheme": "http", ":authority": "interop.test", ":path": "/h2"}


class Stream:
    """What has come on one."""

    def __init__(self, link, number: int, headers=None):
        self.link = link
        self.number = number
        self.headers = headers
        self.data = bytearray()
        self.ended = False
        self.reset = None

    @property
    def status(self):
        return self.headers and self.headers.get(":status")

    async def answered(self):
        await eventually(lambda: self.headers or self.reset is not None or self.link.closed)
        return self.status

    async def send(self, data: bytes, end=False, pad=None):
        """As the windows allow."""
        h2 = self.link.h2
        while data or end:
            room = lambda: min(h2.local_flow_control_window(self.number) - (pad or -1) - 1, h2.max_outbound_frame_size)  # noqa: E731
            if data:
                await eventually(lambda: room() > 0)
            count = min(len(data), room() if pad is None else 1)
            last = end and count == len(data)
            h2.send_data(self.number, data[:count], end_stream=last, pad_length=pad)
            await self.link.flush()
            data = data[count:]
            if last:
                return

    async def echoes(self, data: bytes):
        at = len(self.data)
        sending = asyncio.create_task(self.send(data))
        await eventually(lambda: len(self.data) >= at + len(data) or sending.done() and sending.exception(), 30)
        await sending
        same(bytes(self.data[at:]), data, "what came back")

    async def over(self):
        await eventually(lambda: self.ended or self.reset is not None or self.link.closed)


class Link:
    """A connection of HTTP/2, of either side. Windows grow as data come, unless `acknowledges` is off."""

    def __init__(self, reader, writer, client=True, settings=None, behaviour=None):
        self.reader, self.writer, self.behaviour = reader, writer, behaviour
        self.h2 = H2Connection(H2Configuration(client_side=client, header_encoding="utf-8"))
        if settings:
            self.h2.local_settings = Settings(client=client, initial_values=settings)
        self.streams = {}
        self.goaway = None
        self.unframed = b""
        self.pongs = 0
        self.closed = False
        self.error = None
        self.acknowledges = True
        self.tasks = set()

    async def start(self):
        self.h2.initiate_connection()
        await self.flush()
        self.spawn(self.pump())
        return self

    def spawn(self, work):
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def pump(self):
        try:
            while data := await self.reader.read(65536):
                for event in self.h2.receive_data(self.without_goaway(data)):
                    self.take(event)
                await self.flush()
        except ProtocolError as error:
            self.error = error
        except OSError:
            pass
        self.closed = True

    def without_goaway(self, data: bytes) -> bytes:
        """Whole frames, but for GOAWAY: hyper-h2 thinks that all is over then, and open streams go on."""
        if not self.h2.config.client_side:
            return data
        self.unframed += data
        frames = b""
        while len(self.unframed) >= 9:
            size = 9 + int.from_bytes(self.unframed[:3])
            if len(self.unframed) < size:
                break
            frame, self.unframed = self.unframed[:size], self.unframed[size:]
            if frame[3] == 7:
                self.goaway = int.from_bytes(frame[13:17])
            else:
                frames += frame
        return frames

    def take(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        match event:
            case RequestReceived():
                stream = self.streams[event.stream_id] = Stream(self, event.stream_id, dict(event.headers))
                stream.order = [name for name, _ in event.headers]
                self.spawn(self.behaviour(stream))
            case ResponseReceived():
                stream.headers = dict(event.headers)
            case DataReceived():
                stream.data += event.data
                if self.acknowledges and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                stream.ended = True
            case StreamReset() if stream:
                stream.reset = event.error_code
            case PingAckReceived():
                self.pongs += 1

    async def flush(self):
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()

    async def ping(self):
        pongs = self.pongs
        self.h2.ping(b"12345678")
        await self.flush()
        await eventually(lambda: self.pongs > pongs)

    async def open(self, end=False, **headers) -> Stream:
        """A request; names of pseudo-headers go without their colon."""
        asked = {**REQUEST, **{f":{name}": value for name, value in headers.items()}}
        stream = Stream(self, self.h2.get_next_available_stream_id())
        self.streams[stream.number] = stream
        self.h2.send_headers(stream.number, list(asked.items()), end_stream=end)
        await self.flush()
        return stream

    async def answer(self, stream, end=False, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        status = headers.pop("status", "200")
        self.h2.send_headers(stream.number, [(":status", status), *headers.items()], end_stream=end)
        await self.flush()


@contextlib.asynccontextmanager
async def client(port: int, context=None, settings=None):
    name = {"ssl": context, "server_hostname": "interop.test"} if context else {}
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **name)
    link = await Link(reader, writer, settings=settings).start()
    try:
        yield link
        if link.error:
            raise link.error
    finally:
        writer.close()


async def echo_stream(stream):
    """Answers 200, and sends back what comes."""
    await stream.link.answer(stream)
    sent = 0
    while not stream.ended and stream.reset is None and not stream.link.closed:
        await eventually(lambda: len(stream.data) > sent or stream.ended or stream.reset is not None, 60)
        data = bytes(stream.data[sent:])
        sent += len(data)
        await stream.send(data)
    if stream.ended:
        stream.link.h2.end_stream(stream.number)
        await stream.link.flush()


class Server:
    """A server of HTTP/2. Each request is served by `behaviour`."""

    def __init__(self, behaviour=echo_stream, context=None, settings=None, latency=0):
        self.behaviour, self.context, self.settings, self.latency = behaviour, context, settings, latency
        self.links = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        errors = [link.error for link in self.links if link.error]
        for link in self.links:
            link.writer.close()
        if errors:
            raise errors[0]

    async def serve(self, reader, writer):
        await asyncio.sleep(self.latency)  # until its settings are known at the other end
        link = Link(reader, writer, client=False, settings=self.settings, behaviour=lambda stream: self.behaviour(stream))
        with contextlib.suppress(OSError):
            self.links.append(await link.start())

    @property
    def streams(self) -> list[Stream]:
        return [stream for link in self.links for stream in link.streams.values()]
