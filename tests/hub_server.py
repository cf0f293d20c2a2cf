"""A server on the loopback address that answers what huggingface_hub asks of the real one, from memory."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TOKEN", "Hub", "Repository", "serve"]

TOKEN = "hf_of_the_tests"


@dataclass
class Repository:
    """Commits, the newest last: its hash and the whole content of its files by name."""

    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    private: bool = False
    gated: bool = False

    def commit(self, files: dict[str, bytes]) -> str:
        number = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits.append((number, files))
        return number

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1]
        return next((one for one in self.commits if one[0] == revision), None)


@dataclass
class Hub:
    """What the server holds and what it was asked.

    Attributes:
        address: its endpoint.
        repositories: by name.
        objects: large files that were uploaded, by sha256.
        asked: method and path of every request.
        writers: tokens that may write.
        broken: answer everything with an error of the server.
    """

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    writers: tuple[str, ...] = (TOKEN,)
    broken: bool = False

    def fetched(self) -> set[str]:
        """Return the files whose content was fetched."""
        return {line.rsplit("/", 1)[1] for line in self.asked if line.startswith("GET ") and "/resolve/" in line}


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, body: Any = b"", status: int = 200, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status: int, code: str) -> None:
        self.answer({"error": code}, status, X_Error_Code=code, X_Error_Message=code)

    @property
    def logged_in(self) -> bool:
        return self.headers.get("Authorization", "") in [f"Bearer {token}" for token in self.hub.writers]

    def handle_any(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.hub.broken:
            return self.answer({"error": "out of order"}, 500)
        if path == "/api/whoami-v2":
            return self.answer({"name": "lab"}) if self.logged_in else self.refuse(401, "Unauthorized")
        if path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if path.startswith("/objects/"):
            self.hub.objects[path.rsplit("/", 1)[1]] = body
            return self.answer()
        if self.command == "POST":
            if not self.logged_in:
                return self.refuse(401, "Unauthorized")
            return self.write(path, body)
        return self.read(path)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def repository(self, name: str) -> Repository | None:
        found = self.hub.repositories.get(name)
        return None if found is not None and found.private and not self.logged_in else found

    def read(self, path: str) -> None:
        api = path.startswith("/api/models/")
        parts = path.removeprefix("/api/models" if api else "").strip("/").split("/")
        name = "/".join(parts[:2])
        repository = self.repository(name)
        if repository is None:
            return self.refuse(404 if self.logged_in else 401, "RepoNotFound")
        commit = repository.at(parts[3] if len(parts) > 3 else "main")
        if commit is None:
            return self.refuse(404, "RevisionNotFound")
        number, files = commit
        if api and parts[2:3] == ["tree"]:
            return self.answer([{"type": "file", "path": n, "size": len(d), "oid": _sha(d)} for n, d in files.items()])
        if api:
            siblings = [{"rfilename": file} for file in files]
            return self.answer({"id": name, "sha": number, "private": repository.private, "siblings": siblings})
        if repository.gated and not self.logged_in:
            return self.refuse(403, "GatedRepo")
        if parts[4] not in files:
            return self.refuse(404, "EntryNotFound")
        return self.answer(files[parts[4]], ETag=f'"{_sha(files[parts[4]])}"', X_Repo_Commit=number)

    def write(self, path: str, body: bytes) -> None:
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted.get('organization') or 'lab'}/{wanted['name']}"
            private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
            self.hub.repositories[name] = Repository(private=private)
            self.hub.repositories[name].commit({".gitattributes": b""})
            return self.answer({"url": f"{self.hub.address}/{name}"})
        if path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            for one in objects:
                one["actions"] = {"upload": {"href": f"{self.hub.address}/objects/{one['oid']}"}}
            return self.answer({"transfer": "basic", "objects": objects})
        name = "/".join(path.removeprefix("/api/models/").split("/")[:2])
        repository = self.repository(name)
        if repository is None:
            return self.refuse(404, "RepoNotFound")
        if "/preupload/" in path:
            modes = {True: "lfs", False: "regular"}
            listed = [
                {"path": one["path"], "uploadMode": modes[one["path"].endswith(".safetensors")], "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            return self.answer({"files": listed})
        files = dict(repository.commits[-1][1])
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        number = repository.commit(files)
        return self.answer({"commitOid": number, "commitUrl": f"{self.hub.address}/{name}/commit/{number}"})


def _sha(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@contextmanager
def serve() -> Iterator[Hub]:
    """Serve until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
