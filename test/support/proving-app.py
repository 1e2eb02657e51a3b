#!/usr/bin/python3
"""
An HTTP app that behaves as the file MODE beside it says, and answers each request with its version (VERSION), its
generation and its pid. It takes its listeners by server-starter's protocol, or listens on 127.0.0.1 at PORT. On
SIGTERM it stops accepting, answers what it has and ends.

MODE is one word: good; exits-at-once; exits-later (after 3 s, without having accepted anything); deaf (never accepts);
late (accepts after 1 s); hangs (accepts, and never answers); errors (answers 500); crashes (ends between two requests
once it has answered some checks, which are requests for /up); sickens (answers checks with 503 from then on). A second
word `up` has hangs and errors only at /up.
"""
import os
import select
import signal
import socket
import sys
import threading
import time

started = time.monotonic()
here = os.path.dirname(os.path.realpath(__file__))


def beside(name):
    with open(os.path.join(here, name)) as file:
        return file.read().strip()


version = beside("VERSION")
mode, _, scope = beside("MODE").partition(" ")
generation = os.environ.get("SERVER_STARTER_GENERATION", "-")
inherited = os.environ.get("SERVER_STARTER_PORT", "")
stopping = threading.Event()
wake_read, wake_write = os.pipe()
connections = 0
checks = 0
enough_checks = 3
lock = threading.Lock()


def stop(*_):
    stopping.set()
    os.write(wake_write, b"x")


signal.signal(signal.SIGTERM, stop)


def uptime():
    return time.monotonic() - started


def sleep_until(seconds):
    """False when it was told to stop before."""
    return not stopping.wait(max(0, seconds - uptime()))


def listeners():
    if inherited:
        return [socket.socket(fileno=int(pair.rsplit("=", 1)[1])) for pair in inherited.split(";")]
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(os.environ["PORT"])))
    server.listen(128)
    return [server]


def is_ending():
    return stopping.is_set() or is_crashing()


def is_crashing():
    return mode == "crashes" and checks >= enough_checks


def answer(path):
    """The status; None: never."""
    global checks
    is_check = path == "/up"
    checks += is_check
    if scope == "up" and not is_check:
        return "200 OK"
    if mode == "hangs":
        return None
    if mode == "errors":
        return "500 Internal Server Error"
    if mode == "sickens" and is_check and checks > enough_checks:
        return "503 Service Unavailable"
    return "200 OK"


def serve(connection):
    global connections
    try:
        connection.settimeout(30)
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                chunk = connection.recv(4096)
                if not chunk:
                    return
                received += chunk
            head, _, received = received.partition(b"\r\n\r\n")
            status = answer(head.split(b" ")[1].decode())
            if status is None:
                stopping.wait()
                return
            close = is_ending() or b"connection: close" in head.lower()
            body = f"{version} {generation} {os.getpid()}\n"
            kind = "close" if close else "keep-alive"
            reply = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: {kind}\r\n\r\n{body}"
            connection.sendall(reply.encode())
            if close:
                return
    except OSError:
        pass
    finally:
        connection.close()
        with lock:
            connections -= 1


def accept_from(servers):
    global connections
    for server in servers:
        # Shared with every other generation: none of them may block on a connection that another one took.
        server.setblocking(False)
    while not stopping.is_set():
        crashing = is_crashing()
        # What waits at an inherited socket is for the next generation; at a socket of its own it would be lost.
        open_servers = [] if crashing and inherited else servers
        ready, _, _ = select.select([*open_servers, wake_read], [], [], 0.001 if crashing else 0.05)
        for server in ready:
            if server == wake_read:
                continue
            try:
                connection, _ = server.accept()
            except BlockingIOError:
                continue
            connection.setblocking(True)
            with lock:
                connections += 1
            threading.Thread(target=serve, args=(connection,), daemon=True).start()
        if crashing and not ready and connections == 0:
            os._exit(9)


if mode == "exits-at-once":
    sys.exit(7)
if mode == "exits-later":
    sys.exit(3 if sleep_until(3) else 0)
if mode == "deaf":
    stopping.wait()
    sys.exit(0)
if mode == "late" and not sleep_until(1):
    sys.exit(0)
accept_from(listeners())
deadline = time.monotonic() + 5
while connections > 0 and time.monotonic() < deadline:
    time.sleep(0.01)
