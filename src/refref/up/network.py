"""The little that the supervisor needs of the network, without the weight of an HTTP library."""

import socket


def url_of(host: str, port: int) -> str:
    """Return the address that a client on this machine uses for a server bound to `host`."""
    reachable = reachable_host(host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def reachable_host(host: str) -> str:
    """Return where a client on this machine finds a server bound to `host`, which may mean all addresses."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def is_free(host: str, port: int) -> bool:
    """Say whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def get_status(host: str, port: int, path: str) -> int | None:
    """Return the status of GET `path`, None while nobody answers."""
    head, _, _ = (_get(host, port, path, timeout_seconds=5) or b"").partition(b"\r\n")
    words = head.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def get_body(host: str, port: int, path: str) -> bytes | None:
    """Return what GET `path` answers, None while nobody does or the answer is not 200."""
    answer = _get(host, port, path, timeout_seconds=1) or b""
    head, _, body = answer.partition(b"\r\n\r\n")
    return body if head.split()[1:2] == [b"200"] else None


def _get(host: str, port: int, path: str, timeout_seconds: float) -> bytes | None:
    """The whole answer to a GET; HTTP/1.0, so that it comes in one piece and then ends."""
    reachable = reachable_host(host)
    try:
        with socket.create_connection((reachable, port), timeout=timeout_seconds) as connection:
            request = f"GET {path} HTTP/1.0\r\nHost: {reachable}:{port}\r\nConnection: close\r\n\r\n"
            connection.sendall(request.encode())
            return connection.makefile("rb").read()
    except OSError:
        return None
