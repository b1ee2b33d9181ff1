"""Lets kazoo's own tests run against the members of a test of ours: `pytest -p ensemble_plugin --pyargs kazoo.tests`.

kazoo's tests start ZooKeeper by `kazoo.testing.common`. This stands in its place: whoever runs pytest starts and stops the
members when asked, and is told what became of each test. Both speak JSON, one object on a line, over standard input and
output; what pytest prints goes to standard error.
"""

import json
import os
import signal
import sys
import threading
import types

# pytest takes both for itself a little later.
_answers = os.fdopen(os.dup(0), "r")
_questions = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
_turn = threading.Lock()


def ask(do, **what):
    with _turn:
        # A test whose time is up is ended by this signal: not between a question and its answer.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        try:
            _questions.write(json.dumps({"do": do, **what}) + "\n")
            _questions.flush()
            answer = _answers.readline()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    if not answer:
        sys.exit("nobody is there to answer")
    return json.loads(answer)


class Member:
    """What kazoo's tests take for one server."""

    def __init__(self, member, cluster):
        self.member = member
        self.cluster = cluster
        self.running = False

    @property
    def address(self):
        return self.cluster.addresses[self.member - 1]

    @property
    def secure_address(self):
        raise NotImplementedError("no port for TLS")

    def run(self):
        if not self.running:
            self.running = True
            ask("start", member=self.member)

    def stop(self):
        if self.running:
            self.running = False
            ask("stop", member=self.member)


class Cluster:
    """What kazoo's tests take for all servers. It is there from the first start to the next `terminate`."""

    def __init__(self, size, configuration_entries=(), java_system_properties=(), jaas_config=None, **_unused):
        self.wanted = {
            "members": size,
            "lines": list(configuration_entries),
            "flags": ["-Dreadonlymode.enabled=true", *java_system_properties],
            "jaas": jaas_config,
        }
        self.members = [Member(member, self) for member in range(1, size + 1)]
        self.laid_out = None

    def __getitem__(self, index):
        return self.members[index]

    def __iter__(self):
        return iter(self.members)

    @property
    def addresses(self):
        if self.laid_out is None:
            self.laid_out = ask("prepare", **self.wanted)["addresses"]
        return self.laid_out

    def start(self):
        assert self.addresses
        for member in self:
            member.run()
        ask("wait")

    def terminate(self):
        if self.laid_out is not None:
            ask("end")
            self.laid_out = None
        for member in self:
            member.running = False

    def get_logs(self):
        return []


sys.modules["kazoo.testing.common"] = types.ModuleType("kazoo.testing.common")
sys.modules["kazoo.testing.common"].ZookeeperCluster = Cluster

_wanted = os.environ.get("ENSEMBLE_TESTS")
_outcomes = {}


def _name(nodeid):
    return nodeid.rpartition("kazoo/tests/")[2]


def pytest_collection_modifyitems(items):
    if _wanted is not None:
        items[:] = [item for item in items if _name(item.nodeid) in _wanted.split("\n")]


def pytest_runtest_logreport(report):
    outcome, text = _outcomes.get(report.nodeid, ("passed", ""))
    if report.failed and outcome == "passed":
        outcome, text = "failed" if report.when == "call" else f"failed in {report.when}", report.longreprtext
    elif report.skipped and outcome == "passed":
        outcome, text = "skipped", report.longreprtext
    _outcomes[report.nodeid] = outcome, text


def pytest_runtest_logfinish(nodeid):
    outcome, text = _outcomes.pop(nodeid)
    ask("note", test=_name(nodeid), outcome=outcome, text=text)
