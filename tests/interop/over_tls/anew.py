"""A client that connects for each request, without resumption, until a file is there.

    python3 anew.py PORT CA STOP

Prints how many requests were answered. Ends with an error at the first that is not.
"""

import pathlib
import socket
import ssl
import sys

REQUEST = b"GET / HTTP/1.1\r\nHost: interop.test\r\nConnection: close\r\n\r\n"


def main():
    port, ca, stop = int(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    context = ssl.create_default_context(cafile=ca)
    count = 0
    while not stop.exists():
        with socket.create_connection(("127.0.0.1", port), 20) as plain:
            with context.wrap_socket(plain, server_hostname="interop.test") as client:
                client.sendall(REQUEST)
                answer = b""
                while data := client.recv(65536):
                    answer += data
        if not answer.startswith(b"HTTP/1.1 200 ") or b"\r\n\r\n" not in answer:
            sys.exit(f"request {count} was answered with {answer[:200]!r}")
        count += 1
    print(count)


if __name__ == "__main__":
    main()
