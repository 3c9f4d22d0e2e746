"""A server of Flask that answers which of its routes a request took. Its port is on the first line of what this prints."""
import os
import sys
import threading

import flask
from werkzeug.serving import make_server

app = flask.Flask(__name__)
METHODS = ["GET", "POST"]


def route(name, *rules):
    for rule in rules:
        app.add_url_rule(rule, f"{name} {rule}", lambda **_: ("", 200, {"X-Route": name}), methods=METHODS)


route("admin", "/admin", "/admin/<path:rest>")
route("public", "/public/<path:rest>")
route("billing", "/billing", "/billing/<path:rest>")
route("delete", "/account/delete")
route("sessions", "/auth/sessions")


@app.route("/<path:rest>", methods=METHODS)
@app.route("/", methods=METHODS, defaults={"rest": ""})
def other(rest):
    return "", 200, {"X-Route": "css" if rest.endswith(".css") else "other"}


server = make_server("127.0.0.1", 0, app, threaded=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()  # with who started this
print(server.server_port, flush=True)
sys.stderr = open(os.devnull, "w")
server.serve_forever()
