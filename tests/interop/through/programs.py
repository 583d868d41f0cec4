"""Programs that run beside the cases."""

import asyncio
import contextlib
import os
import pathlib

HERE = pathlib.Path(__file__).resolve().parent.parent


async def output(*command, stdin: bytes | None = None, **environment) -> bytes:
    """What a program prints. An error, with all that it said, if it does not end with 0."""
    status, out, error = await ended(*command, stdin=stdin, **environment)
    if status:
        raise AssertionError(f"{command[0]} ended with {status}: {error.decode()[-2000:]}{out.decode()[-500:]}")
    return out


async def ended(*command, stdin: bytes | None = None, **environment) -> tuple[int, bytes, bytes]:
    """How a program ends, what it prints, and what it prints as errors."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=asyncio.subprocess.DEVNULL if stdin is None else pipe, stdout=pipe, stderr=pipe,
        env=os.environ | environment,
    )
    async with killed(process):
        out, error = await process.communicate(stdin)
        return process.returncode, out, error


@contextlib.asynccontextmanager
async def killed(process):
    """Kills it, should the block end before it does."""
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def node(setup, script: str, *arguments) -> list[str]:
    """A command that runs a script of `node/` with what npm has installed."""
    # Modules are looked for beside the script, so it has to be where they are, with what it imports of ours.
    for source in (HERE / "node").glob("*.mjs"):
        (setup.node / source.name).write_bytes(source.read_bytes())
    return ["node", str(setup.node / script), *map(str, arguments)]


@contextlib.asynccontextmanager
async def serving(*command):
    """A program that prints its port, for as long as the block runs."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    async with killed(process):
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        yield int(line)
