"""Runs a function between itself and `cargo lambda watch`, and gives each invocation the deadline that Lambda would.

`cargo lambda watch` 1.9.2 sends the constant 600000 as the deadline, in milliseconds since 1970: long past. Functions
that keep to their deadline, as dispatch and sweep do, would do nothing. Cargo runs this in front of the function's
binary (`CARGO_TARGET_…_RUNNER`); everything but that one header passes through unchanged.
"""

import http.client
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

# Lambda's own default for functions of this project, in milliseconds; see Globals in template.yaml.
TIMEOUT_MILLIS = 30_000
DEADLINE = "lambda-runtime-deadline-ms"
# Headers that belong to one connection, and are not passed on.
OF_A_CONNECTION = {"connection", "content-length", "transfer-encoding", "host"}


class Between(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream = None  # set in main

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        connection = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in OF_A_CONNECTION}
        connection.request(self.command, self.upstream.path.rstrip("/") + self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() == DEADLINE:
                value = str(int(time.time() * 1000) + TIMEOUT_MILLIS)
            if name.lower() not in OF_A_CONNECTION:
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_GET = do_POST = pass_on

    def log_message(self, *_):
        pass


def main():
    api = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    if api is None:
        os.execv(sys.argv[1], sys.argv[1:])
    Between.upstream = urllib.parse.urlsplit(api if "://" in api else f"http://{api}")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {**os.environ, "AWS_LAMBDA_RUNTIME_API": f"http://127.0.0.1:{server.server_port}"}
    function = subprocess.Popen(sys.argv[1:], env=environment)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: function.terminate())
    sys.exit(function.wait())


if __name__ == "__main__":
    main()
