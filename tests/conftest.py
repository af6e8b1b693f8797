"""What the tests of the core stand on: a clock moved by hand, a WeCom in memory, a real database in a new file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.database import Database
from storage.ledger import Ledger
from storage.people import People
from storage.sync_store import SyncStore
from tests.fakes import ANN, BOB, KF, KF2, LI, TENANT, WU, FakeClock, FakeKf, FakeSleep


@pytest.fixture
def fake_clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fake_sleep(fake_clock: FakeClock) -> FakeSleep:
    return FakeSleep(fake_clock)


@pytest.fixture
def fake_kf(fake_clock: FakeClock) -> FakeKf:
    kf = FakeKf(fake_clock)
    kf.account_new(KF, "售前咨询", {LI: "李娜", WU: "吴明"})
    kf.account_new(KF2, "售后服务", {LI: "李娜"})
    kf.customer_new("小林", ANN)
    kf.customer_new("Bob", BOB)
    return kf


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "kfbot.db")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database, TENANT)


@pytest.fixture
def sync_store(database: Database) -> SyncStore:
    return SyncStore(database, TENANT)


@pytest.fixture
def people(database: Database) -> People:
    return People(database)
