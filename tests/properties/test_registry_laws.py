"""Laws of the registry as a whole, over histories that are drawn from a seed.

Each history runs through the real reading of HL7 and the real flows, in a database of its
own. What is compared is in `tests.support.canonical`, how it is drawn in
`tests.support.generated`; a seed that fails is a history that can be played again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.test_reaching import said_anew
from tests.support.canonical import registry_of
from tests.support.database import Cluster
from tests.support.generated import lived
from tests.support.given import disagreements
from tests.support.hospital import Hospital
from tests.support.story import Archive, recorded

SOAK = bool(os.environ.get("RECONCILE_SOAK"))
SEEDS = range(100 if SOAK else 4)
STEPS = 25

Make = Callable[[], Archive]


@contextmanager
def archives(cluster: Cluster, folder: Path) -> Iterator[Make]:
    """Makes archives that know nothing, each with a database of its own."""
    with ExitStack() as stack:

        def make() -> Archive:
            urls = stack.enter_context(cluster.database())
            own = folder / urls.writer.rpartition("/")[2].partition("?")[0]
            hospital = Hospital.at(urls.writer, own, urls.reader)
            stack.callback(hospital.database.close)
            return Archive(hospital)

        yield make


@pytest.fixture
def make(cluster: Cluster, tmp_path: Path) -> Iterator[Make]:
    with archives(cluster, tmp_path) as made:
        yield made


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_recorded_makes_the_same_registry_again(make: Make, seed: int) -> None:
    """
    Inbox, received instances and stewards' actions, in their recorded order, into an empty
    database: the same but for what is minted. And nothing is left to be said anew.
    """
    first, second = make(), make()
    lived(first, seed, STEPS)
    told = recorded(first)
    second.play(told)

    assert second.causes() == first.causes()
    assert registry_of(second.hospital) == registry_of(first.hospital)
    for archive in (first, second):
        assert said_anew(archive.hospital) == ()
        assert disagreements(archive.hospital) == []
