"""The application that Granian runs: it calls the WSGI application in threads that no slow client can hold.

Granian's event loop receives the whole body of a request before a thread handles it, and sends the response after the
thread has returned it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from granian.rsgi import Scope

from mlsite import probes, wsgi
from mlsite.charsets import drop_unreadable_content_type
from mlsite.web.bodies import Body, BodyStore
from mlsite.web.environ import wsgi_environ
from mlsite.web.files import FileWrapper
from mlsite.web.sockets import limit_unread
from mlsite.web.streams import BodyStream
from predictions import connections
from predictions.admission import middleware as admission
from predictions.client_address import client_network
from predictions.connections import ClientConnection
from predictions.exceptions import RequestRejected
from predictions.uploads import parser

PROBE_THREADS = 4  # for probes only, so that they answer whatever the other threads do
WATCH_AFTER_SECONDS = 1  # most requests have been answered by then, so they cost nothing more

if TYPE_CHECKING:
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol

Headers = list[tuple[str, str]]


class WebApplication:
    """An RSGI application around a WSGI application."""

    def __init__(self, wsgi_application: Callable[..., Iterable[bytes]]) -> None:
        self._wsgi_application = wsgi_application
        self._bodies = BodyStore()
        self._threads = ThreadPoolExecutor(settings.WEB_THREADS, "web")
        self._probe_threads = ThreadPoolExecutor(PROBE_THREADS, "probe")
        self._limits_unread = False

    async def __call__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        if not self._limits_unread:  # the server does not listen yet when it loads the application
            self._limits_unread = True
            limit_unread(settings.CLIENT_STALL_SECONDS)
        environ = wsgi_environ(scope)
        drop_unreadable_content_type(environ)
        environ["wsgi.file_wrapper"] = FileWrapper
        is_chunked = environ.pop("HTTP_TRANSFER_ENCODING", "") != ""
        length = int(environ.get("CONTENT_LENGTH") or 0)  # the server has checked it
        if not is_chunked and not length:
            environ["wsgi.input"] = BytesIO()
            await self._respond(environ, protocol)
            return
        stream = BodyStream(protocol, None if is_chunked else length)
        try:
            body = await self._receive(environ, stream)
        except RequestRejected as rejection:
            await self._reject(environ, protocol, stream, rejection.with_traceback(None))
            return
        try:
            environ["wsgi.input"] = body
            environ["CONTENT_LENGTH"] = str(body.size)
            environ[parser.RELEASE_BODY] = body.close
            await self._respond(environ, protocol)
        finally:
            body.close()

    async def _receive(self, environ: dict[str, Any], stream: BodyStream) -> Body:
        """Returns the whole body. Raises `RequestRejected`."""
        if body := await self._bodies.receive_in_memory(stream):
            return body  # to receive it costs no more than to decide first
        environ["wsgi.input"] = BytesIO()
        request, loop = WSGIRequest(environ), asyncio.get_running_loop()
        if rejection := await loop.run_in_executor(self._threads, admission.decide, request):
            raise rejection
        return await self._bodies.receive_on_disk(stream, client_network(request))

    async def _reject(
        self, environ: dict[str, Any], protocol: HTTPProtocol, stream: BodyStream, rejection: RequestRejected
    ) -> None:
        """Responds without reading the rest of the body, and then discards it."""
        environ |= {admission.DECISION: rejection, "wsgi.input": BytesIO(), "CONTENT_LENGTH": "0"}
        sends_no_body = "HTTP_EXPECT" in environ  # the client waits for a 100 (Continue) that never comes
        headers = [("Connection", "close")] if stream.is_broken or sends_no_body else []
        await self._respond(environ, protocol, headers)
        if not sends_no_body:
            await stream.discard()

    async def _respond(
        self, environ: dict[str, Any], protocol: HTTPProtocol, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        threads = self._probe_threads if environ["PATH_INFO"] in probes.PATHS else self._threads
        loop, connection = asyncio.get_running_loop(), ClientConnection()
        handling = loop.run_in_executor(threads, self._run, environ, protocol, headers, connection)
        watching = loop.call_later(WATCH_AFTER_SECONDS, self._watch, handling, protocol, connection)
        try:
            await handling
        finally:
            watching.cancel()

    def _watch(self, handling: asyncio.Future[None], protocol: HTTPProtocol, connection: ClientConnection) -> None:
        """Tells the thread when the client has gone, until it has handled the request."""

        async def watch() -> None:
            await protocol.client_disconnect()
            connection.close()

        task = asyncio.create_task(watch())
        handling.add_done_callback(lambda _: task.cancel())

    def _run(
        self,
        environ: dict[str, Any],
        protocol: HTTPProtocol,
        more_headers: Iterable[tuple[str, str]],
        connection: ClientConnection,
    ) -> None:
        """Handles a request in a thread. Granian then sends the response, however slowly the client reads it."""
        connections.set_current(connection)
        status, headers = 0, Headers()

        def start_response(status_line: str, response_headers: Headers, exc_info: object = None) -> None:
            nonlocal status
            status = int(status_line.partition(" ")[0])
            headers[:] = [*response_headers, *more_headers]

        response = self._wsgi_application(environ, start_response)
        try:
            if isinstance(response, FileWrapper) and (part := response.part(headers)):
                protocol.response_file_range(status, headers, part.path, part.start, part.end)
            else:
                protocol.response_bytes(status, headers, b"".join(response))
        finally:
            if close := getattr(response, "close", None):
                close()


application = WebApplication(wsgi.application)
