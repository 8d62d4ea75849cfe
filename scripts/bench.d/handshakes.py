"""A TLS 1.3 client that never resumes a session: PORT SECONDS in, JSON out."""

import json
import socket
import ssl
import sys
import time

REQUEST = b"GET /api/orders/7 HTTP/1.1\r\nHost: localhost\r\nx-user-id: user-1\r\nConnection: close\r\n\r\n"


def main():
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    begin, count = time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        once(context, port)
        count += 1
    print(json.dumps({"handshakes": count, "seconds": time.monotonic() - begin}))


def once(context, port):
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with context.wrap_socket(plain, server_hostname="localhost") as stream:
        if stream.session_reused:
            sys.exit("a session was resumed")
        stream.sendall(REQUEST)
        answer = b""
        # Not until the other side closes: some take their time for that.
        while not answer.endswith((b"legacy", b"candidate")):
            part = stream.recv(4096)
            if not part:
                break
            answer += part
    if not answer.startswith(b"HTTP/1.1 200"):
        sys.exit(f"not an answer: {answer!r}")


main()
