"""The sandbox's lists: set semantics, effects at their time, and nothing lost by a cut-off journal."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.sandbox.faults import Fault, Faults
from segments.sandbox.lists import Book


def digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def test_adding_and_removing_are_set_operations(tmp_path: Path) -> None:
    book = Book(tmp_path)
    list_id = book.list_make("meta", "1", "A")
    jane = (digest("jane"), digest("jane's phone"))
    for _ in range(2):
        book.operate("meta", list_id, "add", [jane, (digest("joe"),)], received=2)
    assert book.summary()[0]["members"] == 2
    book.operate("meta", list_id, "remove", [(digest("jane's phone"),)], received=1)
    assert book.digests(list_id) == [digest("joe").hex()]
    assert book.requests == {"meta add": 2, "meta remove": 1}
    assert book.repeated == {"meta add": 1}
    book.close()


def test_a_shared_digest_makes_one_member(tmp_path: Path) -> None:
    book = Book(tmp_path)
    list_id = book.list_make("google", "1", "A")
    book.operate("google", list_id, "add", [(digest("a"), digest("b")), (digest("b"), digest("c"))], received=2)
    assert book.summary()[0]["members"] == 1
    book.close()


def test_a_late_operation_takes_effect_at_its_time(tmp_path: Path) -> None:
    book = Book(tmp_path)
    list_id = book.list_make("meta", "1", "A")
    book.operate("meta", list_id, "add", [(digest("a"),)], received=1, delay_seconds=3600)
    book.operate("meta", list_id, "remove", [(digest("a"),)], received=1)
    assert book.summary()[0] | {"members": 0, "pending": 1} == book.summary()[0]
    book.settle(book.operations["req-00000001"].due)
    assert book.summary()[0]["members"] == 1
    book.close()


def test_a_line_cut_off_by_a_kill_is_dropped(tmp_path: Path) -> None:
    book = Book(tmp_path)
    list_id = book.list_make("meta", "1", "A")
    book.operate("meta", list_id, "add", [(digest("a"),)], received=1)
    book.close()
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines(keepends=True)[-1][:50])
    again = Book(tmp_path)
    assert again.digests(list_id) == [digest("a").hex()]
    again.operate("meta", list_id, "add", [(digest("b"),)], received=1)
    again.close()
    third = Book(tmp_path)
    assert third.digests(list_id) == sorted([digest("a").hex(), digest("b").hex()])
    third.close()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "remove"]), st.lists(st.integers(0, 9), min_size=1, max_size=4)), max_size=15
    )
)
def test_a_restart_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("book")
    book = Book(folder)
    list_id = book.list_make("meta", "1", "A")
    expected: set[int] = set()
    for operation, numbers in steps:
        rows = [(digest(str(n)),) for n in numbers]
        book.operate("meta", list_id, "add" if operation == "add" else "remove", rows, received=len(rows))
        expected = expected | set(numbers) if operation == "add" else expected - set(numbers)
    live = book.digests(list_id)
    book.close()
    again = Book(folder)
    assert again.digests(list_id) == live == sorted(digest(str(n)).hex() for n in expected)
    again.close()


def test_faults_meet_their_operation_and_run_out() -> None:
    faults = Faults()
    faults.plan(Fault("meta", "429", times=2, operation="remove"))
    faults.plan(Fault("meta", "500", after=1))
    assert faults.next("google", "add") is None
    assert faults.next("meta", "add") is None
    found = faults.next("meta", "add")
    assert found
    assert found.kind == "500"
    assert [f.kind if f else None for f in (faults.next("meta", "remove") for _ in range(3))] == ["429", "429", None]
    assert faults.planned() == []
    with pytest.raises(ValueError, match="there are 429, 500"):
        faults.plan(Fault("meta", "earthquake"))
