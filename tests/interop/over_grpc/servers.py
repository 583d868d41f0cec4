"""A server of gRPC for as long as a block runs. It knows no protocol buffers: messages are bytes.

Other programs have the same service. Its methods, of which each does what is said below: Unary, Metadata, Collect (a stream
from the client), Count and Watch (to it), Talk (both), Fail, Hang and Cancelled.
"""

import asyncio
import contextlib

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

SERVICE = "interop.Echo"
DETAILS = ("grpc-status-details-bin", b"\x08\x05\x12\x02no\x00\xff")
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Server:
    """What it does is told by the method; what it has seen is kept for the case."""

    def __init__(self, folder, tls: bool):
        self.folder, self.tls = folder, tls
        self.cancelled = 0
        self.release = asyncio.Event()
        self.remaining = None
        self.unavailable = 0
        self.calls = 0
        self.peers = set()

    async def __aenter__(self):
        self.server = grpc.aio.server(options=OPTIONS)
        self.health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, self.handlers())])
        if self.tls:
            pair = [(self.read(self.folder.key), self.read(self.folder.certificate))]
            self.port = self.server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(pair))
        else:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        return self

    async def __aexit__(self, *_):
        await self.server.stop(None)

    @staticmethod
    def read(path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    async def serving(self, yes: bool, service=""):
        status = health_pb2.HealthCheckResponse
        await self.health.set(service, status.SERVING if yes else status.NOT_SERVING)

    def handlers(self) -> dict:
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Metadata": grpc.unary_unary_rpc_method_handler(self.metadata),
            "Collect": grpc.stream_unary_rpc_method_handler(self.collect),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Talk": grpc.stream_stream_rpc_method_handler(self.talk),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Flaky": grpc.unary_unary_rpc_method_handler(self.flaky),
            "Hang": grpc.unary_unary_rpc_method_handler(self.hang),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
            "Cancelled": grpc.unary_unary_rpc_method_handler(self.seen),
        }

    async def unary(self, request, context):
        self.calls += 1
        self.peers.add(context.peer())
        return request

    async def metadata(self, request, context):
        """Sends back what came, before and after the message."""
        sent = [(key, value) for key, value in context.invocation_metadata() if key.startswith("x-")]
        await context.send_initial_metadata(sent)
        context.set_trailing_metadata([(f"{key[:-4]}-late-bin" if key.endswith("-bin") else f"{key}-late", value)
                                       for key, value in sent])
        return request

    async def collect(self, requests, context):
        """How many messages there were, and how long all of them."""
        count = size = 0
        async for request in requests:
            count, size = count + 1, size + len(request)
        return f"{count} {size}".encode()

    async def count(self, request, context):
        """Numbers, as many as asked for, and after each as many dots."""
        count, size = map(int, request.split())
        for number in range(count):
            yield b"%d" % number + b"." * size

    async def talk(self, requests, context):
        async for request in requests:
            yield request

    async def fail(self, request, context):
        await context.abort(grpc.StatusCode.NOT_FOUND, request.decode(), (DETAILS,))

    async def flaky(self, request, context):
        self.calls += 1
        if self.unavailable:
            self.unavailable -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "come back later")
        return request

    async def hang(self, request, context):
        self.remaining = context.time_remaining()
        await self.until_cancelled()

    async def watch(self, request, context):
        """One message at once, and one when the case says so."""
        yield b"first"
        if request == b"for ever":
            await self.until_cancelled()
        await self.release.wait()
        yield b"second"

    async def until_cancelled(self):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def seen(self, request, context):
        """How many calls were cancelled while they hung or were watched, and the seconds that the last to hang had left."""
        return f"{self.cancelled} {self.remaining}".encode()


@contextlib.asynccontextmanager
async def channel(folder, port: int, tls: bool, **more):
    """A client of gRPC, with a connection of its own."""
    options = [*OPTIONS, ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    if tls:
        credentials = grpc.ssl_channel_credentials(Server.read(folder.ca))
        options.append(("grpc.ssl_target_name_override", "interop.test"))
        made = grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options, **more)
    else:
        made = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options, **more)
    async with made:
        yield Client(made)


class Client:
    def __init__(self, made):
        self.channel = made

    def __getattr__(self, method: str):
        kinds = {"Collect": "stream_unary", "Count": "unary_stream", "Talk": "stream_stream", "Watch": "unary_stream"}
        return getattr(self.channel, kinds.get(method, "unary_unary"))(f"/{SERVICE}/{method}")
