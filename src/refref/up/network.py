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
    try:
        with socket.create_connection((reachable_host(host), port), timeout=5) as connection:
            request = f"GET {path} HTTP/1.1\r\nHost: {reachable_host(host)}:{port}\r\nConnection: close\r\n\r\n"
            connection.sendall(request.encode())
            answer = connection.makefile("rb").readline().split()
    except OSError:
        return None
    return int(answer[1]) if len(answer) > 1 and answer[1].isdigit() else None
