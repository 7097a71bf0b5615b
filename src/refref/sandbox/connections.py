"""A lean HTTP/1.1 poster over kept-alive connections: a whole history of events goes out in seconds."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 20
PORTS = {"http": 80, "https": 443}

Place = tuple[str, str, int]
Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Connections:
    """Idle connections by scheme, host and port; there are never more than there were posts at once."""

    idle: dict[Place, list[Link]] = field(default_factory=dict)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post and return the status; raises OSError (also TimeoutError) or EOFError when there is no good answer."""
        parts = urlsplit(url)
        place = parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme]
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {target} HTTP/1.1", f"host: {parts.netloc}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        raw = "\r\n".join([*lines, "", ""]).encode() + body
        async with asyncio.timeout(TIMEOUT_SECONDS):
            links = self.idle.setdefault(place, [])
            if links:
                try:
                    return await self._exchange(place, links.pop(), raw)
                except (OSError, EOFError):
                    pass  # the other side had closed the idle connection: once more on a new one
            return await self._exchange(place, await self._open(place), raw)

    async def _open(self, place: Place) -> Link:
        scheme, host, port = place
        return await asyncio.open_connection(
            host, port, ssl=ssl.create_default_context() if scheme == "https" else None
        )

    async def _exchange(self, place: Place, link: Link, raw: bytes) -> int:
        reader, writer = link
        kept = False
        try:
            writer.write(raw)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            status = int(head[0].split()[1])
            kept = await _skip_body(reader, fields, status) and fields.get("connection", "").lower() != "close"
        except (ValueError, IndexError, asyncio.LimitOverrunError) as strange:
            raise ConnectionError("The answer is not HTTP.") from strange
        finally:
            if kept:
                self.idle[place].append(link)
            else:
                writer.close()
        return status

    def close(self) -> None:
        """Close what is idle."""
        for links in self.idle.values():
            for _, writer in links:
                writer.close()
        self.idle.clear()


async def _skip_body(reader: asyncio.StreamReader, fields: Mapping[str, str], status: int) -> bool:
    """Read past the answer's body; False when only the end of the connection ends it."""
    if fields.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
        return True
    if status in (204, 304):
        return True
    if "content-length" not in fields:
        return False
    await reader.readexactly(int(fields["content-length"]))
    return True
