"""One client cannot keep the others out: turns, shares, memory, and bodies that do not arrive."""

import asyncio
import socket
import threading
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import pytest

from asking import PATIENCE, SEGMENT, counts, parsed, post, raw, received, refused, request, wait_for
from nephoscope.server import guard
from nephoscope.server.clients import Admission, client_of
from nephoscope.server.limits import Limits
from nephoscope.server.memory import PixelBudget
from nephoscope.server.pool import Pool
from nephoscope.server.problems import Problem


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
    ],
)
def test_a_client_is_an_address_or_a_network(address, client):
    assert client_of({"client": (address, 1)}) == client


def test_clients_take_turns():
    order, hold = [], threading.Event()

    async def visit():
        pool = Pool(1)

        def work(name):
            assert hold.wait(PATIENCE)
            order.append(name)

        names = ["a1", "a2", "a3", "b1", "c1", "b2"]
        tasks = [asyncio.create_task(pool.run(lambda _, n=name: work(n), name[0])) for name in names]
        gone = asyncio.create_task(pool.run(lambda _: work("gone"), "b"))
        await asyncio.sleep(0)
        gone.cancel()
        hold.set()
        await asyncio.gather(*tasks)
        with suppress(asyncio.CancelledError):
            await gone
        assert pool.pictures == 0
        assert await pool.run(lambda _: "again", "a") == "again"
        pool.close()

    asyncio.run(visit())
    assert order == ["a1", "a2", "b1", "c1", "a3", "b2"]  # when the others came, only "a" waited


class TestMemory:
    def test_a_picture_waits_until_it_fits(self):
        budget, inside = PixelBudget(10), threading.Event()
        looks = threading.Semaphore(0)

        def second():
            with budget.reserve(99, looks.release):  # at most all of it
                inside.set()

        waiting = threading.Thread(target=second)
        with budget.reserve(1, lambda: None):
            waiting.start()
            assert looks.acquire(timeout=PATIENCE)
            assert not inside.is_set()
        waiting.join(PATIENCE)
        assert inside.is_set()
        assert budget.free == 10

    def test_whoever_leaves_no_longer_waits(self):
        budget = PixelBudget(10)

        def leave():
            raise InterruptedError

        with budget.reserve(6, lambda: None), pytest.raises(InterruptedError), budget.reserve(6, leave):
            pass
        with budget.reserve(10, leave):
            assert budget.free == 0


class TestShares:
    def test_a_client_has_a_share_of_places(self):
        admission = Admission(Limits(requests=4, client_share=0.5))
        with ExitStack() as stack:

            def enter(client):
                arrival = stack.enter_context(admission.receive(client, 1, 1))
                stack.enter_context(admission.work(arrival, 7))

            enter("a")
            enter("a")
            with pytest.raises(Problem, match="retry in 1 s"):
                enter("a")
            enter("b")
            enter("b")
            with pytest.raises(Problem):
                enter("c")
        assert admission.requests == 0

    def test_a_client_has_a_share_of_bytes_and_uploads(self):
        admission = Admission(Limits(held_bytes=100, uploads=4, client_share=0.5))
        with admission.receive("a", 10**9, 1) as first, admission.receive("a", 10**9, 1) as second:
            with pytest.raises(Problem), admission.receive("a", 1, 1):
                pass
            admission.count(first, 30, 1)
            with pytest.raises(Problem):
                admission.count(second, 21, 1)
            admission.count(second, 20, 1)
            with admission.receive("b", 50, 1) as other:
                admission.count(other, 50, 1)
                assert admission.held_bytes == 100
        assert admission.held_bytes == 0

    def test_retry_after_says_when_uploads_make_room(self):
        admission = Admission(Limits(held_bytes=100, client_share=1, upload_seconds=60))
        with admission.receive("a", 200, 1) as stuck, admission.receive("b", 50, 1) as other:
            admission.count(stuck, 99, 1)
            stuck.begun -= 40  # at this rate, the rest would arrive 41 s later, but its time ends before
            with pytest.raises(Problem) as full:
                admission.count(other, 2, 3)
        assert full.value.retry_after in (22, 23)


class TestUploads:
    def test_what_is_announced_keeps_nobody_out(self, start, content):
        half = request(
            "POST", SEGMENT, "Content-Type: image/jpeg", f"Content-Length: {64 * 1024**2}", body=b"\xff\xd8"
        )
        with start(Limits(requests=4)) as address, ExitStack() as stack:
            place = urlsplit(address)
            for _ in range(6):
                connection = stack.enter_context(socket.create_connection((place.hostname, place.port)))
                connection.sendall(half)
            wait_for(lambda: counts(address)["nephoscope_held_bytes"] == 12)
            assert post(address, content).status == 200

    def test_a_body_that_comes_too_slowly_is_ended(self, start, monkeypatch):
        monkeypatch.setattr(guard, "_DRAIN_SECONDS", 0.05)
        half = request("POST", SEGMENT, "Content-Type: image/jpeg", "Content-Length: 5000", body=b"\xff\xd8")
        with start(Limits(rate_seconds=0.1)) as address:
            assert "bytes/s" in refused(raw(address, half), "too-slow")

    def test_bytes_beyond_the_room_end_an_upload(self, start, content, monkeypatch):
        monkeypatch.setattr(guard, "_DRAIN_SECONDS", 0.05)
        with start(Limits(held_bytes=len(content))) as address:
            place = urlsplit(address)
            with socket.create_connection((place.hostname, place.port), PATIENCE) as connection:
                length = f"Content-Length: {len(content) + 1}"
                connection.sendall(request("POST", SEGMENT, "Content-Type: image/jpeg", length, body=content))
                answer = parsed(received(connection))
            assert answer.kind == "full"
            assert int(answer.headers["Retry-After"]) >= 1
            wait_for(lambda: counts(address)["nephoscope_held_bytes"] == 0)
