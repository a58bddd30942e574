"""``python -m linnet.show.view``: the process that ``linnet.show.view.start`` starts. It reads its
token from standard input."""

import argparse
import socket
import sys
from pathlib import Path


def main() -> None:
    """Serve the folder or run ``root`` at a socket that is already open."""
    parser = argparse.ArgumentParser(prog="python -m linnet.show.view")
    parser.add_argument("root", type=Path)
    parser.add_argument("--descriptor", type=int, required=True)
    parser.add_argument("--pid", type=int)
    given = parser.parse_args()
    token = sys.stdin.readline().strip()
    from linnet.show.view.server import serve

    with socket.socket(fileno=given.descriptor) as listener:
        serve(given.root, listener, token, pid=given.pid, idle=True)


if __name__ == "__main__":
    main()
