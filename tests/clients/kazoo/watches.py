"""Watches of kazoo, which never sends them again, while members die.

    watches.py HOST:PORT,HOST:PORT,HOST:PORT

It asks for `heal`, and for `away HOST:PORT CHANGE PATH CHANGE PATH ...`: then this process is stopped, its member killed,
and the changes are made before it goes on. With `leader` in place of the address it is the leader that is killed.

kazoo forgets what it waited for when it loses its connection. So there are two clients: one that does as kazoo does, with
recipes that read again; and one that remembers, and is to be told of everything without a word of its own.
"""

from ensemble import Client, ask, clients, log, until
from kazoo.protocol.serialization import Watch
from kazoo.protocol.states import KeeperState

CREATED, DELETED, CHANGED, CHILD = 1, 2, 3, 4


class Remembering(Client):
    """A client that waits on for what it waited for, and notes what its member tells it."""

    def __init__(self):
        super().__init__()
        self.told = []
        self.rung = []
        deliver = self._connection._read_watch_event

        def read(buffer, offset):
            event, _ = Watch.deserialize(buffer, offset)
            self.told.append((event.type, event.path))
            return deliver(buffer, offset)

        self._connection._read_watch_event = read

    def _reset_watchers(self):
        if self._state != KeeperState.CONNECTING:
            super()._reset_watchers()

    def ring(self, event):
        self.rung.append((event.type, event.path))


def home(client):
    host, port = client._connection._socket.getpeername()
    return f"{host}:{port}"


def one_shots(where, root, victim):
    """Watches of each kind, for what happens while the client is away and for what happens after it has come back."""
    at = lambda name: f"{root}/{name}"
    with clients(1) as (writer,), clients(1, Remembering) as (watcher,):
        writer.create(root)
        data = ["set", "gone", "remade", "set-later"]
        children = ["grew", "grew-and-shrank", "left", "grows-later"]
        for name in data + children:
            writer.create(at(name))
        watcher.sync(root)
        for name in data:
            watcher.get(at(name), watcher.ring)
        for name in ["came", "came-and-went", "comes-later"]:
            assert watcher.exists(at(name), watcher.ring) is None
        for name in children:
            watcher.get_children(at(name), watcher.ring)
        # Behind its own write, what a session waits for is known to every member.
        watcher.set(root, b"all set")

        changes = [
            ("set", "set"),
            ("delete", "gone"),
            ("create", "came-and-went"),
            ("create", "came"),
            ("delete", "remade"),
            ("create", "remade"),
            ("set", "remade"),
            ("create", "grew/child"),
            ("create", "grew-and-shrank/child"),
            ("delete", "grew-and-shrank/child"),
            ("delete", "came-and-went"),
            ("delete", "left"),
        ]
        ask(f"away {victim(watcher)} " + " ".join(f"{verb} {at(name)}" for verb, name in changes))
        expected = [
            (CHANGED, at("set")),
            (DELETED, at("gone")),
            (CREATED, at("came-and-went")),
            (CREATED, at("came")),
            (DELETED, at("remade")),
            (CHILD, at("grew")),
            (CHILD, at("grew-and-shrank")),
            (DELETED, at("left")),
        ]
        # The watcher asks for nothing: it is told by itself.
        until(f"all was told that happened {where}", lambda: len(watcher.told) >= len(expected))
        assert watcher.told == expected, watcher.told

        writer.retry(writer.set, at("set-later"), b"")
        writer.retry(writer.ensure_path, at("comes-later"))
        writer.retry(writer.ensure_path, at("grows-later/child"))
        # All that was to be told once has been: nobody hears of this.
        for name in ["set", "came", "remade"]:
            writer.retry(writer.set, at(name), b"again")
        expected += [(CHANGED, at("set-later")), (CREATED, at("comes-later")), (CHILD, at("grows-later"))]
        # Its answer comes behind all events that were due.
        watcher.retry(watcher.sync, root)
        watcher.retry(watcher.get, root)
        assert watcher.told == expected, watcher.told
        until("everybody was called who waited", lambda: len(watcher.rung) >= len(expected))
        names = {CREATED: "CREATED", DELETED: "DELETED", CHANGED: "CHANGED", CHILD: "CHILD"}
        assert watcher.rung == [(names[kind], path) for kind, path in expected], watcher.rung
    ask("heal")


def recipes():
    """kazoo as it is: its recipes read again, and what they are told besides disturbs nobody."""
    with clients(2) as (writer, watcher):
        for path in ["/recipes", "/recipes/data", "/recipes/children"]:
            writer.create(path)
        watcher.sync("/recipes")
        data, children = [], []
        watcher.DataWatch("/recipes/data", lambda value, stat: data.append((stat.version, value)))
        watcher.ChildrenWatch("/recipes/children", lambda names: children.append(set(names)))
        watcher.set("/recipes", b"all set")
        changes = "set /recipes/data create /recipes/children/1 create /recipes/children/2 delete /recipes/children/1"
        ask(f"away {home(watcher)} {changes} set /recipes/data")
        until("the last value was seen", lambda: data[-1][0] == 2)
        until("the children were seen", lambda: children[-1] == {"2"})
        writer.retry(writer.set, "/recipes/data", b"later")
        writer.retry(writer.ensure_path, "/recipes/children/3")
        until("the recipes went on", lambda: data[-1] == (3, b"later") and children[-1] == {"2", "3"})
        versions = [version for version, _ in data]
        assert versions == sorted(versions), f"versions went back: {versions}"
    ask("heal")


one_shots("when its member died", "/home", home)
log("the member dies: good")
one_shots("when the leader died", "/leader", lambda watcher: "leader")
log("the leader dies: good")
recipes()
log("recipes: good")
print("all good", flush=True)
