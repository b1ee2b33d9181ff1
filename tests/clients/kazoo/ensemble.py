"""kazoo's clients as a test uses them, and the words with whoever runs the script.

Whoever runs it kills and starts members when asked: the script says what it wants on a line of its own and goes on when it
reads a line.
"""

import contextlib
import sys
import time

from kazoo.client import KazooClient, KazooState
from kazoo.retry import KazooRetry

PATIENCE = 60
HOSTS = sys.argv[1]


def ask(what):
    print(what, flush=True)
    if not sys.stdin.readline():
        sys.exit("nobody is there to answer")


def log(text):
    print(text, file=sys.stderr, flush=True)


def until(what, probe):
    end = time.monotonic() + PATIENCE
    while not probe():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE} s in vain until {what}")
        time.sleep(0.02)


class Client(KazooClient):
    """A client that counts how often it lost its connection, and never loses its session."""

    def __init__(self):
        patient = {"max_tries": -1, "delay": 0.05, "max_delay": 0.5}
        super().__init__(
            hosts=HOSTS,
            timeout=20,
            randomize_hosts=True,
            connection_retry=KazooRetry(**patient),
            command_retry=KazooRetry(**patient),
        )
        self.suspended = 0
        self.lost = False
        self.add_listener(self._note)

    def _note(self, state):
        if state == KazooState.SUSPENDED:
            self.suspended += 1
        elif state == KazooState.LOST:
            self.lost = True


@contextlib.contextmanager
def clients(count, kind=Client):
    everybody = [kind() for _ in range(count)]
    try:
        for client in everybody:
            client.start(timeout=PATIENCE)
        sessions = [client.client_id[0] for client in everybody]
        yield everybody
        for client, session in zip(everybody, sessions):
            assert not client.lost, "a session was lost"
            until("the client was connected", lambda: client.connected)
            assert client.client_id[0] == session, "the session became another"
    finally:
        for client in everybody:
            client.stop()
            client.close()
