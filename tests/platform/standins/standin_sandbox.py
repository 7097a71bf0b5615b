"""Stands in for the sandbox: answers every path with 404."""

import argparse
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("--host", "--port", "--data", "--key", "--seed"):
        parser.add_argument(option, required=True)
    parser.add_argument("--live-traffic", action="store_true", required=True)
    given, _ = parser.parse_known_args()  # the codes of the sample are not its affair
    HTTPServer((given.host, int(given.port)), Handler).serve_forever()
