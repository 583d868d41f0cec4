"""The interoperability cases of gRPC itself, by the client and the server of its implementation in Go
(<https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md>)."""

import asyncio
import contextlib
import json

from harness import next_port

# All that need no cloud and no balancer of their own.
NAMES = (
    "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
    "timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response", "status_code_and_message",
    "special_status_message", "custom_metadata", "unimplemented_method", "unimplemented_service", "orca_per_rpc",
    "orca_oob",
)


@contextlib.asynccontextmanager
async def server(setup, tls: bool):
    """The server of the cases, for as long as the block runs."""
    port = next_port()
    command = [setup.go / "server", f"--port={port}"]
    if tls:
        command += ["--use_tls=true", f"--tls_cert_file={setup.folder.certificate}", f"--tls_key_file={setup.folder.key}"]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    try:
        await accepts(port)
        yield port
    finally:
        process.kill()
        await process.wait()


async def accepts(port: int):
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


async def client(setup, name: str, port: int, tls: bool):
    """Runs one case; what the client says is the reason where it fails."""
    command = [setup.go / "client", "--server_host=127.0.0.1", f"--server_port={port}", f"--test_case={name}"]
    if name.startswith("orca"):
        balancer = {"loadBalancingConfig": [{"test_backend_metrics_load_balancer": {}}]}
        command.append(f"--service_config_json={json.dumps(balancer)}")
    if tls:
        command += ["--use_tls=true", "--use_test_ca=true", f"--ca_file={setup.folder.ca}",
                    "--server_host_override=interop.test"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    if process.returncode:
        raise AssertionError(f"exit status {process.returncode}: {said.decode(errors='replace')[-600:]}")


def case(name: str, tls: bool):
    async def run(setup):
        async with server(setup, tls) as port, setup.front(port, tls) as front:
            await client(setup, name, front.port, tls)

    run.__name__ = f"{name} over {'TLS' if tls else 'h2c'}"
    return run


CASES = [case(name, tls) for tls in (False, True) for name in NAMES]
