"""A server on a real port that answers by script, and the gateway calling it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from refref.stripe.client import StripeGateway

Answer = tuple[int, Any]  # status; JSON, or bytes to send as they are
Asked = tuple[str, dict[str, list[str]], dict[str, str]]  # path, query, headers
Script = Callable[[str, dict[str, list[str]]], Answer]


@contextlib.asynccontextmanager
async def stripe_saying(script: Script) -> AsyncIterator[tuple[str, list[Asked]]]:
    """A server on a real port; gives its URL and the list of what it was asked."""
    asked: list[Asked] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        url = urlsplit(head[0].split(" ")[1])
        headers = {key.lower(): value for key, _, value in (row.partition(": ") for row in head[1:] if row)}
        query = parse_qs(url.query)
        asked.append((url.path, query, headers))
        status, body = script(url.path, query)
        if status:
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            writer.write(b"HTTP/1.1 %d X\r\nrequest-id: req_1\r\nconnection: close\r\n" % status)
            writer.write(b"content-length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        await server.wait_closed()


def call(script: Script, use: Callable[[StripeGateway], Any], **options: Any) -> tuple[Any, list[Asked]]:
    async def run() -> tuple[Any, list[Asked]]:
        async with stripe_saying(script) as (url, asked):
            gateway = StripeGateway("rk_test_x", url, **{"max_network_retries": 0, **options})
            try:
                return await use(gateway), asked
            finally:
                await gateway.close()

    return asyncio.run(run())
