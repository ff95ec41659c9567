"""A real FTP server of a few commands, enough for one anonymous download."""

import socket
import threading
from contextlib import contextmanager, suppress


def _talk(control, content, cuts):
    data = None

    def say(line):
        control.sendall(f"{line}\r\n".encode())

    say("220 ready")
    for line in control.makefile("r", newline="\r\n"):
        verb = line.split()[0].upper()
        if verb in ("PASV", "EPSV"):
            data = socket.create_server(("127.0.0.1", 0))
            port = data.getsockname()[1]
            say(
                f"229 open (|||{port}|)"
                if verb == "EPSV"
                else f"227 open (127,0,0,1,{port // 256},{port % 256})"
            )
        elif verb == "SIZE":
            say(f"213 {len(content)}" if "sop" in line else "550 no such file")
        elif verb == "RETR" and "sop" in line:
            say(f"150 here it comes ({len(content)} bytes)")
            with data, data.accept()[0] as channel:
                channel.sendall(content[: cuts.pop(0)] if cuts else content)
            say("226 done")
        elif verb == "CWD" and "zip" in line:
            say("550 no such folder")
        elif verb == "QUIT":
            say("221 bye")
            return
        else:
            say(
                {"USER": "331 who", "PASS": "230 in", "RETR": "550 no such file"}.get(
                    verb, "200 ok"
                )
            )


@contextmanager
def ftp_server(content, cuts=()):
    """Yield the address of a server that has `/pub/sop.zip`; the first answers end at `cuts`."""
    cuts = list(cuts)
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(control):
        with control, suppress(OSError):
            _talk(control, content, cuts)

    def serve():
        while True:
            try:
                control = listener.accept()[0]
            except OSError:
                return
            # One thread each: urllib leaves a refused connection open until it is collected.
            threading.Thread(target=answer, args=[control], daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"ftp://127.0.0.1:{listener.getsockname()[1]}/pub"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
