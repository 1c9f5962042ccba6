"""A listing drops foreign names as they pass, jumps over stretches of them, and misses none of ours."""

from __future__ import annotations

import random
import threading
import tracemalloc
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from hypothesis import example, given
from hypothesis import strategies as st

from localmirror.backends.s3 import MirroredS3StaticStorage
from localmirror.inventory import Inventory
from localmirror.names import sibling_of
from localmirror.remote import Engine, RemoteFile
from localmirror.stems import Exactly, Stems, stem

from .bench.scale import Endless

NAMES = st.text(alphabet="ab-._~@/0 é", min_size=1, max_size=8)


@pytest.mark.parametrize(
    "form",
    [
        "css/site.css",
        "css/site.0123456789ab.css",
        "css/site-0123456789ab.css",
        "css/site_0123456789ab.min.css",
        "css/site.css.gz",
        "css/site.0123456789ab.css.br",
        "css/site.css.0123456789ab.map",
    ],
)
def test_all_forms_of_a_name_have_its_stem(form: str) -> None:
    assert stem(form) == stem("css/site.css") == "css/site"
    assert form in Stems(["css/site.css"])


@pytest.mark.parametrize("name", ["css/sites.css", "site.css", "css/site/a.css", "xcss/site.css", "css/sit", "css"])
def test_other_names_do_not_belong(name: str) -> None:
    assert name not in Stems(["css/site.css"])


@pytest.mark.parametrize("name", ["LICENSE", ".well-known/security.txt", ".htaccess", "_a.css", "-", "a/..b", "ü/é"])
def test_a_name_belongs_to_itself(name: str) -> None:
    assert name in Stems([name])
    assert f"{name}.gz" in Stems([name])
    assert sibling_of(f"{name}.gz")


def test_our_own_files_always_belong() -> None:
    assert ".localmirror/releases/1/record.json" in Stems([])


@given(st.lists(NAMES, max_size=6), NAMES, st.lists(NAMES, max_size=20))
@example(["css.map"], "css-old/x.png", ["css-zzz.map"])
@example(["m.js"], "media/1.jpg", ["m~1.js", "m_1.js"])
@example(["photo.css"], "photo", ["photo.css"])
@example(["a b"], "a", ["a b"])
def test_a_gap_holds_nothing_of_ours(originals: list[str], last: str, others: list[str]) -> None:
    forms = [f"{stem(name)}{tail}" for name in originals for tail in ("", "-0.b", ".a", "@", "_0", "~~", "~é")]
    for names in (Stems(originals), Exactly(originals)):
        gap = names.gap_after(last)
        for name in [*originals, *others, *forms, ".localmirror/a"]:
            if last not in names and name in names and name > last:
                assert gap is not None
                assert last <= gap < name


def test_doubtful_names_are_told_apart_and_cost_no_jump() -> None:
    """Those of directories come where a slash behind them belongs, after `css-old/a.png` for instance."""
    keys = sorted([*OURS, *MEDIA, "css/", "css-old/a.png", *(f"empty/{number:05}/" for number in range(5000))])
    listing = Listing(keys)

    def remote_files(after: str) -> Iterator[RemoteFile]:
        for file in listing(after):
            yield RemoteFile(file.name.rstrip("/"), 0, doubtful=file.name.endswith("/"))

    inventory = Inventory(remote_files, can_jump=True)
    inventory.narrow([*OURS, "css"])
    inventory.start()
    assert inventory.wait().keys() == set(OURS)
    assert listing.requests <= 6
    assert not inventory.speaks_of("css")
    assert all(inventory.speaks_of(name) for name in OURS)


def test_a_page_of_doubtful_names_without_progress_does_not_go_in_circles() -> None:
    """What a name says of the key depends on the slash, so a jump may lead back to where the listing was."""
    markers = [RemoteFile("a", 0, doubtful=True)] * 3000
    asked: list[str] = []

    def remote_files(after: str) -> Iterator[RemoteFile]:
        asked.append(after)
        assert len(asked) < 10
        yield from [RemoteFile("a-b", 1), *markers] if after < "a-b" else markers
        yield RemoteFile("z.css", 1)

    inventory = Inventory(remote_files, can_jump=True)
    inventory.narrow(["z.css"])
    inventory.start()
    assert inventory.wait().keys() == {"z.css"}


def test_doubtful_names_are_not_held_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localmirror.inventory._UNSIFTED_LIMIT", 100)
    listed = threading.Semaphore(0)

    def remote_files(after: str) -> Iterator[RemoteFile]:
        for number in range(200):
            yield RemoteFile(f"d{number}", 0, doubtful=True)
            listed.release()

    inventory = Inventory(remote_files)
    inventory.start()
    assert all(listed.acquire(timeout=10) for _ in range(100))
    assert not listed.acquire(timeout=0.2)
    inventory.settle(["d199"])
    assert inventory.wait() == {}
    assert [inventory.speaks_of(name) for name in ("d199", "d1")] == [False, False]


class Listing:
    """A remote that lists its names a thousand to a request, from where it is asked to begin."""

    def __init__(self, names: Sequence[str], *, begins: Callable[[str], int] | None = None) -> None:
        self.names = names
        self.begins = begins or (lambda after: bisect_right(names, after))
        self.requests = 0
        self.listed = 0

    def __call__(self, after: str) -> Iterator[RemoteFile]:
        for number in range(self.begins(after), len(self.names)):
            if (number - self.begins(after)) % 1000 == 0:
                self.requests += 1
            self.listed += 1
            yield RemoteFile(self.names[number], 1)


def inventory_of(listing: Listing, originals: list[str], **options: Any) -> dict[str, RemoteFile]:
    inventory = Inventory(listing, **{"can_jump": True, **options})
    inventory.narrow(originals)
    inventory.start()
    return inventory.wait()


OURS = ["admin/a.js", "css/base.css", "css/base.748355a11da6.css", "rest/z.css", "robots.txt", "staticfiles.json"]
MEDIA = [f"media/{number:07}.jpg" for number in range(200_000)]


def test_foreign_names_cost_few_requests() -> None:
    listing = Listing(sorted([*OURS, *MEDIA, ".localmirror/releases/1/record.json"]))
    assert sorted(inventory_of(listing, OURS)) == [".localmirror/releases/1/record.json", *sorted(OURS)]
    assert listing.requests <= 4


def test_foreign_names_at_the_end_are_not_asked_for() -> None:
    listing = Listing(sorted([*OURS, *(name.replace("media", "uploads") for name in MEDIA)]))
    assert sorted(inventory_of(listing, OURS)) == sorted(OURS)
    assert listing.requests <= 3


def test_a_release_among_foreign_names_costs_no_more_than_the_whole_listing() -> None:
    chance = random.Random(1)
    ours = [f"d{chance.randrange(50):02}/f{number}.css" for number in range(300)]
    foreign = [f"d{chance.randrange(50):02}/u{chance.random()}/{number}.jpg" for number in range(60_000)]
    listing = Listing(sorted({*ours, *foreign}))
    assert inventory_of(listing, ours).keys() == set(ours)
    assert listing.requests <= -(-len(listing.names) // 1000)


def test_a_listing_without_order_is_read_to_its_end() -> None:
    names = [*MEDIA[:3000], *OURS, *MEDIA[3000:6000]]
    random.Random(1).shuffle(names)
    assert inventory_of(Listing(names), OURS).keys() == set(OURS)


def test_a_server_that_begins_where_it_likes_is_read_to_its_end() -> None:
    listing = Listing(sorted([*OURS, *MEDIA[:10_000]]), begins=lambda after: 0)
    assert inventory_of(listing, OURS).keys() == set(OURS)


def test_a_remote_that_cannot_jump_is_read_to_its_end() -> None:
    listing = Listing(sorted([*OURS, *MEDIA[:5000]]))
    assert inventory_of(listing, OURS, can_jump=False).keys() == set(OURS)
    assert listing.requests == 6


def test_what_was_listed_before_the_originals_were_known_is_sifted_too() -> None:
    listing = Listing(sorted([*OURS, *MEDIA]))
    inventory = Inventory(listing, can_jump=True)
    inventory.start()
    inventory.narrow(OURS)
    assert inventory.wait().keys() == set(OURS)


def test_a_release_that_is_known_is_all_that_is_kept() -> None:
    old = [f"css/base.{number:012x}.css" for number in range(100)]
    inventory = Inventory(Listing(sorted([*OURS, *old])))
    inventory.settle(OURS)
    inventory.start()
    assert inventory.wait().keys() == set(OURS)
    assert all(inventory.speaks_of(name) for name in OURS)


def test_names_that_were_dropped_before_they_were_known_to_matter_are_told() -> None:
    listing = Listing(sorted([*OURS, "unforeseen.bin"]))
    inventory = Inventory(listing)
    inventory.narrow(OURS)
    inventory.start()
    inventory.wait()
    inventory.settle([*OURS, "unforeseen.bin"])
    assert not inventory.speaks_of("unforeseen.bin")
    assert all(inventory.speaks_of(name) for name in OURS)


def test_what_earlier_releases_have_left_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localmirror.inventory._UNSIFTED_LIMIT", 2000)
    old = [f"css/base.{number:012x}.css" for number in range(20_000)]
    listing = Listing(sorted([*OURS, *old]))
    inventory = Inventory(listing)
    inventory.narrow(OURS)
    tracemalloc.start()
    try:
        inventory.start()
        for _ in range(1000):
            if listing.listed > 2000:
                break
            threading.Event().wait(0.01)
        assert not inventory.is_complete
        inventory.settle(OURS)
        assert inventory.wait().keys() == set(OURS)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_foreign_names_are_not_held() -> None:
    class Numbers(Sequence[str]):
        def __len__(self) -> int:
            return 50_000

        def __getitem__(self, number: Any) -> Any:
            return f"d{number:07}.jpg"

    listing = Listing(Numbers())
    tracemalloc.start()
    try:
        assert inventory_of(listing, ["d", "d5.css"], can_jump=False) == {}
        assert tracemalloc.get_traced_memory()[1] < 300_000
    finally:
        tracemalloc.stop()
    assert listing.requests == 50


@pytest.fixture(scope="module")
def endless() -> Iterator[Endless]:
    """A bucket that claims a million foreign objects under one prefix."""
    with Endless("media", 1_000_000, 0) as server:
        yield server


@pytest.mark.parametrize("engine", ["obstore", "boto3"])
def test_a_shared_bucket_costs_few_requests(endless: Endless, tmp_path: Path, engine: str) -> None:
    words = {"access_key": "a", "secret_key": "b", "bucket_name": "site", "region_name": "us-east-1"}
    storage = MirroredS3StaticStorage(endpoint_url=endless.url, mirror_location=str(tmp_path), **words)
    ways = {"obstore": storage.bulk_engine(), "boto3": Engine(storage)}
    for name in ("a.css", "media.css", "z/é ☃.css"):
        storage.upload(name, ContentFile(b"x", name), immutable=False)
    endless.reset()
    inventory = Inventory(lambda begin: ways[engine].remote_files(after=begin), can_jump=storage.listing_is_sorted)
    inventory.narrow(["a.css", "media.css", "z/é ☃.css"])
    inventory.start()
    assert inventory.wait().keys() == {"a.css", "media.css", "z/é ☃.css"}
    assert endless.counts()["requests"] <= 4
    assert not ways[engine].remarks
