"""A private PostgreSQL server for the length of a benchmark, on a free loopback port, in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def server() -> Iterator[str | None]:
    """Yield the server's URL; ``None`` where PostgreSQL is not installed. It writes durably, as a real one does."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        yield None
        return
    folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/rnnprog-pg-XXXXXX"], text=True).strip())
    options: dict[str, Any] = {"check": True, "capture_output": True, "cwd": folder}
    options["env"] = {**os.environ, "LC_ALL": "C", "HOME": str(folder)}
    if os.getuid() == 0:  # the server refuses to run as root
        owner = pwd.getpwnam("postgres")
        options |= {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pg_ctl, data = str(Path(initdb).with_name("pg_ctl")), str(folder / "data")
    subprocess.run([initdb, "-D", data, "-U", "tuner", "-A", "trust", "-E", "UTF8"], **options)
    how = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    subprocess.run([pg_ctl, "-D", data, "-w", "-o", how, "-l", str(folder / "log"), "start"], **options)
    try:
        yield f"postgresql://tuner@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([pg_ctl, "-D", data, "-m", "immediate", "stop"], **options)
        shutil.rmtree(folder, ignore_errors=True)
