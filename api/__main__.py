"""`python -m api`: one API process, which ends with exit code 0 when it is told to stop.

With `--fd` it listens on a socket that its parent has opened, as several processes may at once: one
can go while another comes, and no caller that is waiting for an answer to a connection gets none.
"""

import argparse
import signal
import socket

import uvicorn


def main() -> None:
    """Serve until SIGTERM or SIGINT; what is being answered then has `--grace` seconds."""
    parser = argparse.ArgumentParser(prog="python -m api")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--fd", type=int, help="a listening socket, instead of host and port")
    parser.add_argument("--grace", type=int, default=5, help="seconds")
    options = parser.parse_args()
    # uvicorn raises the signal that ended it once more when it is done, for its default to work.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    config = uvicorn.Config(
        "api.app:create_app",
        factory=True,
        host=options.host,
        port=options.port,
        http="api.http_protocol:BoundedProtocol",
        ws="none",
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=options.grace,
    )
    # Made here, for uvicorn's own --fd takes every socket for a Unix one.
    sockets = None if options.fd is None else [socket.socket(fileno=options.fd)]
    uvicorn.Server(config).run(sockets=sockets)


if __name__ == "__main__":
    main()
