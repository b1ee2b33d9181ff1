"""kazoo's recipes, each of them across the death of a leader.

    recipes.py HOST:PORT,HOST:PORT,HOST:PORT

It asks for `kill the leader` and `heal`. What is asserted is what the recipes promise, never how long something takes.
"""

import threading
import time
import traceback

from ensemble import PATIENCE, ask, clients, log, until
from kazoo.exceptions import ConnectionLoss


class Crew:
    """Threads whose failures are the test's."""

    def __init__(self):
        self.threads = []
        self.failures = []

    def start(self, work, *args):
        def run():
            try:
                work(*args)
            except BaseException:
                self.failures.append(traceback.format_exc())

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)

    def join(self):
        for thread in self.threads:
            thread.join(PATIENCE)
        assert not self.failures, "\n".join(self.failures)
        assert not any(thread.is_alive() for thread in self.threads), "a thread did not end"


class Alone:
    """Finds out when two are where only one may be."""

    def __init__(self):
        self.inside = None
        self.visits = []

    def visit(self, who, stay):
        assert self.inside is None, f"{who} came in while {self.inside} was inside"
        self.inside = who
        stay()
        assert self.inside == who
        self.inside = None
        self.visits.append(who)


def lock():
    alone, rounds = Alone(), 8
    with clients(4) as everybody:
        crew = Crew()

        def contend(client, name):
            mutex = client.Lock("/lock", name)
            for _ in range(rounds):
                with mutex:
                    alone.visit(name, lambda: time.sleep(0.03))

        for number, client in enumerate(everybody):
            crew.start(contend, client, f"contender-{number}")
        until("some had the lock", lambda: len(alone.visits) > 4)
        ask("kill the leader")
        crew.join()
    assert len(alone.visits) == 4 * rounds, alone.visits


def election():
    alone = Alone()
    killed = threading.Event()
    with clients(3) as everybody:
        crew = Crew()

        def lead(name):
            # The first one leads until the ensemble has lost its own leader, and must lead still.
            alone.visit(name, lambda: killed.wait(PATIENCE))

        for number, client in enumerate(everybody):
            name = f"candidate-{number}"
            crew.start(client.Election("/election", name).run, lead, name)
        until("somebody led", lambda: alone.inside is not None)
        candidates = everybody[0].Election("/election")
        until("all stood for election", lambda: len(candidates.contenders()) == 3)
        ask("kill the leader")
        killed.set()
        crew.join()
    assert sorted(alone.visits) == ["candidate-0", "candidate-1", "candidate-2"], alone.visits


def queue():
    with clients(2) as (producer, consumer):
        crew = Crew()
        acknowledged, unknown, got = [], set(), []
        done = threading.Event()
        killed = threading.Event()

        def produce():
            items = producer.Queue("/queue")
            number = 0
            while number < 100 or not killed.is_set():
                value = b"%d" % number
                try:
                    items.put(value)
                    acknowledged.append(value)
                except ConnectionLoss:
                    unknown.add(value)
                    until("the producer was connected", lambda: producer.connected)
                number += 1
            for value in range(number, number + 20):
                producer.retry(items.put, b"%d" % value)
                acknowledged.append(b"%d" % value)
            done.set()

        def consume():
            items = consumer.Queue("/queue")
            while True:
                finished = done.is_set()
                value = items.get()
                if value is not None:
                    got.append(value)
                elif finished:
                    return
                else:
                    time.sleep(0.01)

        crew.start(produce)
        crew.start(consume)
        until("half was through", lambda: len(got) >= 30)
        ask("kill the leader")
        killed.set()
        crew.join()
        assert len(set(got)) == len(got) or producer.suspended, "an item came twice"
        assert set(got) <= set(acknowledged) | unknown, "an item came that nobody put"
        # kazoo takes an item and deletes it in two steps: where the connection breaks between them, it may forget it.
        missing = set(acknowledged) - set(got)
        assert len(missing) <= consumer.suspended, f"{missing} never came"
        numbers = [int(value) for value in got]
        assert numbers == sorted(numbers), "items came out of order"

        waiting = producer.LockingQueue("/locking-queue")
        waiting.put_all([b"first", b"second"])
        taker = consumer.LockingQueue("/locking-queue")
        assert taker.get(PATIENCE) == b"first"
        ask("heal")
        ask("kill the leader")
        # It asks the server, perhaps while the connection to the leader breaks.
        assert consumer.retry(taker.holds_lock), "who has taken an item keeps it"
        consumer.retry(taker.consume)
        assert taker.get(PATIENCE) == b"second"
        consumer.retry(taker.consume)


def counter():
    with clients(3) as everybody:
        crew = Crew()
        rounds = 60
        killed = threading.Event()
        counts = [0, 0, 0]

        def count(number, client):
            shared = client.Counter("/counter", default=0)
            while counts[number] < rounds or not killed.is_set():
                shared += 1
                counts[number] += 1

        for number, client in enumerate(everybody):
            crew.start(count, number, client)
        until("they counted", lambda: min(counts) > 10)
        ask("kill the leader")
        killed.set()
        crew.join()
        everybody[0].retry(everybody[0].sync, "/counter")
        value = everybody[0].Counter("/counter", default=0).value
        # A client that lost its connection counts once more what may have been counted.
        most = sum(counts) + sum(client.suspended for client in everybody)
        assert sum(counts) <= value <= most, f"counted {sum(counts)}, found {value}, expected at most {most}"


def barrier():
    with clients(4) as everybody:
        crew = Crew()
        passed = []
        gate = everybody[0].Barrier("/barrier")
        gate.create()

        def wait(client, name):
            # kazoo forgets its watches when a connection breaks, so one long wait might be for ever.
            client.retry(client.sync, "/barrier")
            closed = client.Barrier("/barrier")
            until("the barrier was removed", lambda: client.retry(closed.wait, 0.5))
            passed.append(name)

        for number, client in enumerate(everybody[1:]):
            crew.start(wait, client, number)
        time.sleep(0.2)
        ask("kill the leader")
        assert passed == [], "somebody passed a closed barrier"
        everybody[0].retry(gate.remove)
        crew.join()
        assert sorted(passed) == [0, 1, 2]

        ask("heal")
        crew = Crew()
        entered, may_leave = [], threading.Event()

        def meet(client, name):
            room = client.DoubleBarrier("/double-barrier", 3)
            room.enter()
            entered.append(name)
            may_leave.wait(PATIENCE)
            # For the same reason nobody may wait in the door while connections break.
            client.retry(client.sync, "/double-barrier")
            room.leave()

        for number, client in enumerate(everybody[:2]):
            crew.start(meet, client, number)
        until(
            "two stood at the door",
            lambda: everybody[3].exists("/double-barrier") and len(everybody[3].get_children("/double-barrier")) == 2,
        )
        assert entered == [], "somebody is in a room for three with two"
        crew.start(meet, everybody[2], 2)
        until("three were in", lambda: len(entered) == 3 or crew.failures)
        ask("kill the leader")
        may_leave.set()
        crew.join()
        everybody[3].retry(everybody[3].sync, "/double-barrier")
        left = everybody[3].retry(everybody[3].get_children, "/double-barrier")
        assert left == [], f"these are still inside: {left}"


def party():
    with clients(3) as everybody:
        parties = [client.Party("/party", f"guest-{number}") for number, client in enumerate(everybody)]
        for guest in parties:
            guest.join()
        ask("kill the leader")
        for client, guest in zip(everybody, parties):
            client.retry(client.sync, "/party")
            guests = client.retry(lambda: sorted(guest))
            assert guests == ["guest-0", "guest-1", "guest-2"], guests
        everybody[1].retry(parties[1].leave)
        everybody[2].retry(everybody[2].sync, "/party")
        guests = everybody[2].retry(lambda: sorted(parties[2]))
        assert guests == ["guest-0", "guest-2"], guests


def data_watch():
    with clients(2) as (writer, watcher):
        writer.ensure_path("/data-watch")
        seen = []

        @watcher.DataWatch("/data-watch")
        def changed(data, stat):
            if stat is not None:
                seen.append((stat.version, data))

        def write(numbers):
            for number in numbers:
                writer.retry(writer.set, "/data-watch", b"%d" % number)

        write(range(50))
        until("something was seen", lambda: len(seen) > 1)
        ask("kill the leader")
        write(range(50, 100))
        until("the last value was seen", lambda: seen[-1][1] == b"99")
        versions = [version for version, _ in seen]
        assert versions == sorted(versions), f"versions went back: {versions}"


def children_watch():
    with clients(2) as (writer, watcher):
        writer.ensure_path("/children-watch")
        # kazoo gives up a watch on children of what is not there, or not there yet on the watcher's member.
        watcher.sync("/children-watch")
        seen = []

        @watcher.ChildrenWatch("/children-watch")
        def changed(children):
            seen.append(set(children))

        def write(numbers):
            for number in numbers:
                writer.retry(writer.ensure_path, f"/children-watch/{number}")

        write(range(30))
        until("something was seen", lambda: len(seen) > 1)
        ask("kill the leader")
        write(range(30, 60))
        final = {str(number) for number in range(60)}
        until("all children were seen", lambda: seen[-1] == final)
        for earlier, later in zip(seen, seen[1:]):
            assert earlier <= later, "a child was seen and then not"


for recipe in (lock, election, queue, counter, barrier, party, data_watch, children_watch):
    started = time.monotonic()
    recipe()
    log(f"{recipe.__name__}: good, {time.monotonic() - started:.1f} s")
    ask("heal")
print("all good", flush=True)
