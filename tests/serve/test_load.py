"""Many requests at once: no wrong answer, no error, no growth of memory."""

import http.client
import json
import random
import threading
from pathlib import Path

import pytest
from serving import JSON, There, rows_of, there

pytest_plugins = ("served",)

CLIENTS, MOST_ROWS = 64, 64


def bodies() -> list[bytes]:
    """Bodies of 1 to 64 rows."""
    rows = rows_of(200, seed=5)
    return [json.dumps(rows[count : 2 * count]).encode() for count in range(1, MOST_ROWS + 1)]


class Client(threading.Thread):
    """One client, that asks on one connection and compares each answer with the right one."""

    def __init__(self, own: There, wanted: dict[bytes, bytes], count: int, seed: int) -> None:
        super().__init__()
        self.own, self.wanted, self.count, self.rng = own, wanted, count, random.Random(seed)
        self.wrong: list[str] = []
        self.right = 0

    def run(self) -> None:
        try:
            self.asked()
        except Exception as error:
            self.wrong.append(repr(error))

    def asked(self) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self.own.port, timeout=120)
        known = list(self.wanted)
        for _ in range(self.count):
            body = self.rng.choice(known)
            line.request("POST", "/predict", body, JSON)
            answer = line.getresponse()
            content = answer.read()
            if answer.status == 503 and answer.headers["Retry-After"]:
                continue
            if content != self.wanted[body]:
                self.wrong.append(f"{answer.status} {content[:200]!r}")
            self.right += 1
        line.close()


@pytest.mark.parametrize(
    "count",
    [
        500,
        pytest.param(5_000, marks=pytest.mark.slow),
        pytest.param(100_000, marks=pytest.mark.soak),
    ],
)
def test_what_many_clients_are_answered_at_once(table: Path, count: int) -> None:
    with there(table, "--max-waiting", "64") as own:
        wanted = {body: own.ask("/predict", body, **JSON).content for body in bodies()}
        for number, content in enumerate(wanted.values(), start=1):
            assert len(json.loads(content)["predictions"]) == number
        round_of(own, wanted, 640)
        before = own.memory()
        right = round_of(own, wanted, count)
        assert right >= count // CLIENTS * CLIENTS * 9 // 10
        assert own.memory() - before < 30 << 20
        assert own.end() == (0, "")


def round_of(own: There, wanted: dict[bytes, bytes], count: int) -> int:
    """So many requests from all clients; returns how many were answered."""
    clients = [Client(own, wanted, count // CLIENTS, seed) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(600)
        assert not client.is_alive()
    assert [told for client in clients for told in client.wrong] == []
    return sum(client.right for client in clients)
