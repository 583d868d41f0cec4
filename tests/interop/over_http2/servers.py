"""Servers that stand behind rosn, and rosn in front of them."""

import asyncio
import contextlib
import pathlib
import shutil
import subprocess

from harness import next_port
from through.programs import killed, node, serving


def found(program: str) -> str:
    """Debian's servers are in folders that an ordinary user's path lacks."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin") or program


@contextlib.asynccontextmanager
async def listening(port: int, *command):
    """A program, from when it listens until the block ends."""
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=subprocess.DEVNULL)
    async with killed(process):
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except ConnectionRefusedError:
                    if process.returncode is not None:
                        raise AssertionError(f"{command[0]} has ended") from None
                    await asyncio.sleep(0.02)
        yield port


@contextlib.asynccontextmanager
async def nginx(setup, *listen: str, keepalive=10_000_000, material=None):
    """nginx, which answers everything with a kilobyte, and /whole not before the request is; its port."""
    port = next_port()
    material = material or setup.folder
    folder = setup.folder.path / f"nginx-{port}"
    folder.mkdir()
    text = NGINX.format(
        port=port, listen=" ".join(listen), folder=folder, text="nginx " * 170, keepalive=keepalive,
        certificate=material.certificate, key=material.key,
    )
    (folder / "nginx.conf").write_text(text)
    async with listening(port, found("nginx"), "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"):
        yield port


NGINX = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  keepalive_requests {keepalive};
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  ssl_protocols TLSv1.2 TLSv1.3;
  server {{
    listen 127.0.0.1:{port} {listen};
    location / {{ return 200 "{text}"; }}
    location /whole {{ proxy_pass http://unix:{folder}/whole; }}
  }}
  server {{
    listen unix:{folder}/whole;
    location / {{ return 200 "{text}"; }}
  }}
}}
"""


@contextlib.asynccontextmanager
async def nghttpd(setup):
    """nghttpd with prior knowledge; it serves one page. Its port."""
    root = pathlib.Path(setup.folder.path / "nghttpd")
    root.mkdir(exist_ok=True)
    (root / "index.html").write_text("nghttpd " * 128)
    port = next_port()
    async with listening(port, "nghttpd", "--no-tls", "--htdocs", root, port):
        yield port


def origin(setup, protocol: str):
    """`node/origin.mjs`: http1, h2c or h2 (which is TLS); its port."""
    return serving(*node(setup, "origin.mjs", protocol, setup.folder.certificate, setup.folder.key))
