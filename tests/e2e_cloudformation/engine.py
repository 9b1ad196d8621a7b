"""MiniStack as the tests want it: in the folder given, under AWS's own names, with its seams, and at their command.

The folder has `ca.pem`, `server.pem` and `server.key`. Where the engine is ready, it listens there at `control` for
lines of JSON, and answers each with one: what is done, and its arguments.
"""

import json
import os
import socket
import socketserver
import sys
import threading
import time
import traceback
from pathlib import Path

FOLDER = Path(sys.argv[1])
LEFT_OUT = set(os.environ.get("WITHOUT", "").split())

os.environ.update(
    AUTH="true",
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_CA_BUNDLE=str(FOLDER / "ca.pem"),
    BIND_HOST="127.0.0.1",
    # No engine of containers: it runs a bootstrap by itself.
    DOCKER_HOST="unix:///nonexistent",
    # It listens at 443, too.
    GATEWAY_PORT="8443",
    IOT_MTLS_ENABLED="0",
    LOG_LEVEL="WARNING",
    MINISTACK_ACCOUNT_ID="123456789012",
    MINISTACK_HOST="localhost",
    MINISTACK_REGION="us-east-1",
    MINISTACK_SSL_CERT=str(FOLDER / "server.pem"),
    MINISTACK_SSL_KEY=str(FOLDER / "server.key"),
    SFTP_ENABLED="0",
    SSL_CERT_FILE=str(FOLDER / "ca.pem"),
    USE_SSL="1",
)

# They read the environment when they are imported.
import seams
from botocore import xform_name
from botocore.exceptions import ClientError
from ministack import app

PORT = 443
# A stack's statuses from which nothing follows by itself: CREATE_FAILED and UPDATE_FAILED are not among them.
AT_REST = {
    "CREATE_COMPLETE",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "UPDATE_ROLLBACK_FAILED",
    "DELETE_COMPLETE",
    "DELETE_FAILED",
}


class Control:
    """What the tests may do."""

    def __init__(self):
        self._record = seams.Record()
        self._outages = seams.Outages()
        self._forgeries = {}
        self._clients = {}
        self._lock = threading.Lock()

    def install_seams(self):
        record = self._record
        available = {
            "retry_invocations": lambda: seams.retry_invocations(record),
            "sign_response_urls": lambda: seams.sign_response_urls(record, self._forgeries),
            "refuse_answers": lambda: seams.refuse_answers(self._outages),
            "delete_after_failed_create": seams.delete_after_failed_create,
            "keep_what_was_not_deleted": seams.keep_what_was_not_deleted,
            "forget_what_was_not_cleaned_up": seams.forget_what_was_not_cleaned_up,
            "authorize_each_name": seams.authorize_each_name,
            "know_documents_and_associations": seams.know_documents_and_associations,
            "record_calls": lambda: seams.record_calls(record, self._outages),
            "record_events": lambda: seams.record_events(record),
        }
        if unknown := LEFT_OUT - available.keys():
            raise ValueError(f"WITHOUT names {unknown}; there are {list(available)}")
        for name, install in available.items():
            if name not in LEFT_OUT:
                install()

    def call(self, service, operation, arguments, key=None):
        """Calls AWS's API as anybody would: by its SDK, over TLS; as the account's owner, or with an access key."""
        keys = (key["AccessKeyId"], key["SecretAccessKey"]) if key else (seams.OWNER,)
        with self._lock:
            if (service, keys) not in self._clients:
                self._clients[service, keys] = seams.make_client(service, *keys)
            client = self._clients[service, keys]
        try:
            result = getattr(client, xform_name(operation))(**arguments)
        except ClientError as error:
            return {"error": error.response["Error"]["Message"]}
        return {"result": result}

    def upload(self, path, bucket, key):
        """Puts a file into a bucket."""
        seams.make_client("s3", seams.OWNER).put_object(Bucket=bucket, Key=key, Body=Path(path).read_bytes())

    def answers(self, bucket):
        """What a bucket of CloudFormation's holds."""
        listed = seams.make_client("s3", seams.CLOUDFORMATION).list_objects_v2(Bucket=bucket)
        return [stored["Key"] for stored in listed["Contents"] if stored["Key"] != seams.PROOF]

    def mark(self):
        """How much has happened so far."""
        return len(self._record.since(0))

    def settle(self, stack, mark):
        """Waits until the stack has come to rest after the mark; whether it has, and all that happened since."""

        def is_at_rest():
            own = [entry for entry in self._record.since(mark) if entry.get("stack") == entry.get("resource") == stack]
            return bool(own) and own[-1]["status"] in AT_REST

        return {"is_at_rest": self._record.wait(is_at_rest), "record": self._record.since(mark)}

    def run_schedule(self, name):
        """Has a schedule's time come; what its target was sent, and what came of that."""
        mark = self.mark()

        def watched():
            return [entry for entry in self._record.since(mark) if entry["kind"] == "watched"]

        seams.make_due(name)
        self._record.wait(watched)
        return watched()

    def begin_outage(self, name, action=None, times=None, is_refusal=False):
        """From now on, calls fail that are about such a name."""
        self._outages.begin(name, action, times, is_refusal)

    def end_outage(self, name):
        """They fail no more."""
        self._outages.end(name)

    def forge(self, stack, forgery):
        """From now on, the response URLs of a stack are forged so."""
        self._forgeries[stack] = forgery


CONTROL = Control()


class Connection(socketserver.StreamRequestHandler):
    """One test's."""

    def handle(self):
        for line in self.rfile:
            command = json.loads(line)
            try:
                answer = {"done": getattr(CONTROL, command.pop("do"))(**command)}
            except Exception:
                answer = {"failed": traceback.format_exc()}
            self.wfile.write(json.dumps(answer, default=str).encode() + b"\n")


class Server(socketserver.ThreadingUnixStreamServer):
    """Takes the tests' connections."""

    daemon_threads = True


def is_listening():
    with socket.socket() as client:
        return client.connect_ex((os.environ["BIND_HOST"], PORT)) == 0


def serve():
    # The gateway tells nobody when it has begun to listen.
    deadline = time.monotonic() + seams.PATIENCE_SECONDS
    while not is_listening() and time.monotonic() < deadline:
        time.sleep(0.02)
    CONTROL.install_seams()
    with Server(str(FOLDER / "control"), Connection) as server:
        print("the engine is ready", flush=True)
        server.serve_forever()


def serve_or_end():
    try:
        serve()
    except Exception:
        traceback.print_exc()
        # Not by an exception, for another thread serves the gateway.
        os._exit(1)


seams.leave_schedules_to_tests()
threading.Thread(target=serve_or_end, daemon=True).start()
sys.argv = sys.argv[:1]
app.main()
