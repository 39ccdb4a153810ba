"""The spool: the account of one host on its own disk, a ledger file that each incarnation of its agent continues."""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from ecoml.carbon.footprint import Grams
from ecoml.energy import Energy, EnergyByDomain, Provenance, Purpose, add_up
from ecoml.errors import RunLockedError
from ecoml.ledger.accounts.sharing import Activity
from ecoml.run.storage.store import Store
from ecoml.trial import Config, Trial

LOCKED_S = 5.0
"""Seconds for which a new incarnation waits until the one before releases the spool."""


class Spool(Store):
    """The only writer of a host's spool. Opening it recovers the energy in flight of an incarnation that was killed.

    Args:
        path: The file; it is created if it does not exist.

    Attributes:
        id: Created together with the file.
        incarnation: How often it was opened.

    Raises:
        RunLockedError: Another agent is writing it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _locked(path.with_suffix(".lock"))
        if not path.exists():  # all of it or nothing: it may be killed while it is made
            unfinished = path.with_suffix(".new")
            unfinished.unlink(missing_ok=True)
            Store(unfinished, create=True).close()
            unfinished.rename(path)
        super().__init__(path, create=False)
        self.recover()
        kept = {key: value.strip('"') for key, value in self.rows("SELECT key, value FROM setting")}
        self.id = kept.get("spool") or uuid.uuid4().hex
        self.incarnation = int(kept.get("incarnation", 0)) + 1
        self.set("spool", self.id)
        self.set("incarnation", self.incarnation)
        self._flying: dict[Activity, EnergyByDomain] = {}
        self._entered = self._read()
        self._versions = dict.fromkeys(self._entered, 0)  # of each counter; all of an earlier incarnation's are news
        self._version = 0
        self._trials = {number for (number,) in self.rows("SELECT number FROM trial")}

    def _read(self) -> dict[Activity, EnergyByDomain]:
        parts: dict[Activity, dict[str, list[Energy]]] = {}
        for purpose, trial, domain, joules, half_j, source, edge_j in self.rows(
            "SELECT purpose, trial, domain, energy_j, uncertainty_j, provenance, edge_j FROM entry ORDER BY id"
        ):
            part = Energy(joules, half_j, Provenance(source), edge_j)
            parts.setdefault((Purpose(purpose), trial), {}).setdefault(domain, []).append(part)
        return {
            activity: EnergyByDomain({domain: add_up(found) for domain, found in domains.items()})
            for activity, domains in parts.items()
        }

    def know(self, trial: int, config: Config) -> None:
        """Record that a trial is trained here."""
        if trial not in self._trials:
            self.add_trial(Trial(trial, config))
            self._trials.add(trial)

    def enter(self, pending: Mapping[Activity, EnergyByDomain], grams: Mapping[Activity, Grams] | None = None) -> None:
        """As in any ledger; the counters increase with the energy on disk."""
        with self.transaction():
            super().enter(pending, grams)
            for activity, energy in pending.items():
                self._entered[activity] = self._entered.get(activity, EnergyByDomain()) + EnergyByDomain(energy.domains)
            self._touch({*pending, *self._flying})
            self._flying = {}

    def note_in_flight(
        self, pending: Mapping[Activity, EnergyByDomain], grams: Mapping[Activity, Grams] | None = None
    ) -> None:
        """As in any ledger."""
        with self.transaction():
            super().note_in_flight(pending, grams)
            self._touch({*pending, *self._flying})
            self._flying = {activity: EnergyByDomain(energy.domains) for activity, energy in pending.items()}

    def _touch(self, activities: set[Activity]) -> None:
        self._version += 1
        for activity in activities:
            self._versions[activity] = self._version

    def counters(self, since: int) -> tuple[int, dict[Activity, EnergyByDomain]]:
        """The current version of the counters, as they are on disk, and all counters that changed after version
        `since`.
        """
        with self._transaction.lock:
            changed = [activity for activity, version in self._versions.items() if version > since or not since]
            nothing = EnergyByDomain()
            counted = {a: self._entered.get(a, nothing) + self._flying.get(a, nothing) for a in changed}
            return self._version, counted

    def seen(self) -> dict[tuple[int, str], tuple[float, Energy]]:
        """The metered energy, by session and domain."""
        return {
            (session, domain): (seconds, Energy(joules, half_j, Provenance(source), edge_j))
            for session, domain, seconds, joules, half_j, source, edge_j in self.rows(
                "SELECT session, domain, seconds, energy_j, uncertainty_j, provenance, edge_j FROM host"
            )
        }

    def gaps(self) -> tuple[str, ...]:
        """What could not be metered, one sentence each."""
        return tuple(text for (text,) in self.rows("SELECT DISTINCT text FROM gap"))

    def close(self) -> None:
        super().close()
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _locked(path: Path) -> int | None:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    until_s = time.monotonic() + LOCKED_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > until_s:
                os.close(file)
                raise RunLockedError(f"{path}: another agent writes this host's spool; stop it first") from None
            time.sleep(0.05)
        else:
            return file
