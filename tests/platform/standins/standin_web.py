"""Stands in for the web process: answers /healthz and /environment, dies on /die, leaves a child of its own behind."""

import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/die":
            os._exit(3)
        self.send_response(200)
        self.end_headers()
        variables = {name: value for name, value in os.environ.items() if name.startswith(("REFREF_", "DATABASE_"))}
        self.wfile.write(json.dumps(variables | {"pid": str(os.getpid())}).encode())


if __name__ == "__main__":
    if os.environ.get("STANDIN_FAILS"):
        raise SystemExit("the stand-in was told to fail")
    subprocess.Popen(["sleep", "7654"])
    HTTPServer((os.environ["REFREF_HOST"], int(os.environ["REFREF_PORT"])), Handler).serve_forever()
