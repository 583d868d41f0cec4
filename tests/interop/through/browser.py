"""Chromium opens a page through rosn; its script opens WebSockets to where it came from."""

import json

from harness import same
from through.programs import node, output
from through.websocket import python_server

EXPECTED = {
    "protocol": "chat.v2", "text": "héllo", "big": True, "many": 200, "closed": [4001, "bye"],
    "closedByServer": [4002, "as asked"], "greeting": ["welcome", 1 << 20], "together": 50, "refused": "refused",
    "page": 200,
}


async def opens(setup, front):
    same(json.loads(await output(*node(setup, "browser.mjs", f"{front.url()}/page"))), EXPECTED)


async def plain(setup):
    async with python_server() as port, setup.front(port) as front:
        await opens(setup, front)


async def over_TLS(setup):
    async with python_server() as port, setup.front(port, tls=True) as front:
        await opens(setup, front)


CASES = [plain, over_TLS]
