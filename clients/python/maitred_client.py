"""A client for maitred, written from docs/protocol.md: over QUIC with aioquic, or over the administrator's Unix socket.

    async with Client.connect("127.0.0.1", 4433, "cert.pem", token) as client:
        opened = await client.ask("Open", conversation=new_id(), speaker={"visitor": visitor}, ...)
        kind, notice = await client.notice()

What is asked and answered are the messages of that page, by name, with the values of its JSON encoding.
"""

import asyncio
import contextlib
import os
import time
import uuid

from maitred_codec import Codec, FrameDecoder

NAMESPACE = uuid.UUID(bytes=b"maitred/ids/v1\0\0")
HIGHEST_NOTICE = 0xC00A
KEEP_ALIVE = 10.0
ALPN = {"bincode": "maitred/1", "json": "maitred-json/1"}


class Refused(Exception):
    """The daemon said no. `code` is for programs, the text for people."""

    def __init__(self, code, message, retry_after_ms):
        super().__init__(f"{code}: {message}")
        self.code, self.retry_after_ms = code, retry_after_ms


class Gone(Exception):
    """The connection has ended; what was not answered has to be sent again with the same key."""


def derived_id(workspace, name):
    """The id of a `[[workspace.agent]]` of the configuration, by its key."""
    return str(uuid.uuid5(uuid.uuid5(NAMESPACE, workspace), name))


def new_id():
    """A UUID version 7, as a new conversation needs."""
    number = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 7 << 76
    return str(uuid.UUID(int=number & ~(0x3 << 62) | 0x2 << 62))


class Client:
    """One connection: requests are matched to replies by number, notices wait in a queue."""

    def __init__(self, encoding, reader, writer):
        self._codec, self._encoding = Codec(), encoding
        self._reader, self._writer = reader, writer
        self._waiting, self._last, self._key = {}, 0, 0
        self._notices = asyncio.Queue()
        self._tasks = [asyncio.ensure_future(self._read())]
        self.welcome = None

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, host, port, ca, token, encoding="json", client=None):
        """Over QUIC. `ca` is a file with the certificate, or the authority, that the daemon is to be known by."""
        from aioquic.asyncio import connect
        from aioquic.quic.configuration import QuicConfiguration

        configuration = QuicConfiguration(is_client=True, alpn_protocols=[ALPN[encoding]])
        configuration.load_verify_locations(ca)
        async with connect(host, port, configuration=configuration) as connection:
            reader, writer = await connection.create_stream()
            async with cls._greeted(encoding, reader, writer, token, client, None) as greeted:
                yield greeted

    @classmethod
    @contextlib.asynccontextmanager
    async def connect_unix(cls, path, workspace, client=None):
        """Over the Unix socket in the data directory, as an admin of the workspace."""
        reader, writer = await asyncio.open_unix_connection(path)
        async with cls._greeted("json", reader, writer, "", client, workspace) as greeted:
            yield greeted
        writer.close()

    @classmethod
    @contextlib.asynccontextmanager
    async def _greeted(cls, encoding, reader, writer, token, client, workspace):
        self = cls(encoding, reader, writer)
        try:
            self.welcome = await self.ask(
                "Hello",
                token=token,
                client=client or str(uuid.uuid4()),
                highest_kind=HIGHEST_NOTICE,
                software="maitred_client.py",
                workspace=workspace,
            )
            self._tasks.append(asyncio.ensure_future(self._keep_alive()))
            yield self
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def next_key(self):
        """Keys of commands grow."""
        self._key += 1
        return self._key

    async def ask(self, name, **fields):
        """Sends a request and waits for its reply; the fields that have no value are absent."""
        self._last += 1
        number, reply = self._last, asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        self._writer.write(self._codec.encode(self._encoding, number, name, fields))
        kind, answer = await reply
        if kind == "Refused":
            raise Refused(answer["code"], answer["message"], answer["retry_after_ms"])
        return answer

    async def command(self, name, **fields):
        """As `ask`, with the next key."""
        return await self.ask(name, key=self.next_key(), **fields)

    async def notice(self):
        """The next notice, as (name, fields)."""
        return await self._notices.get()

    async def _keep_alive(self):
        while True:
            await asyncio.sleep(KEEP_ALIVE)
            await self.ask("Ping")

    async def _read(self):
        decoder = FrameDecoder()
        while data := await self._reader.read(65_536):
            for kind, number, body in decoder.feed(data):
                message = self._codec.decode(self._encoding, kind, body)
                if message is None:
                    continue
                if kind < 0xC000 and number in self._waiting:
                    self._waiting.pop(number).set_result(message)
                else:
                    self._notices.put_nowait(message)
        for reply in self._waiting.values():
            reply.set_exception(Gone("the daemon ended the connection"))
        self._waiting.clear()
