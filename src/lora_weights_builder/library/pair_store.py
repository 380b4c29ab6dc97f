"""The pairs as the catalogue keeps them. How halves are told is in ``pairs.py``; each function is inside the caller's
transaction.

A change of an entry unlinks it at once and asks for new links, both by triggers of the database; :func:`link` makes
them at the end of a run.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from lora_weights_builder.library.database import lora, lora_pair, work_due
from lora_weights_builder.library.pairs import Candidate, Link, pair_up, paired_architectures
from lora_weights_builder.records import PairLink

TASK: Final = "pairs"
_COLUMNS: Final = (lora.c.id, lora.c.root_id, lora.c.rel_path, lora.c.architecture, lora.c.rank, lora.c.variant)
_partner: Final = lora.alias("partner")
_own: Final = lora_pair.alias("own")
PARTNER: Final[sa.ColumnElement[Any]] = (
    sa.select(_partner.c.stable_id)
    .select_from(lora_pair.join(_partner, _partner.c.id == lora_pair.c.partner_id))
    .where(lora_pair.c.lora_id == lora.c.id)
    .correlate(lora)
    .scalar_subquery()
    .label("pair_id")
)
"""The stable id of the other half, beside the columns of ``lora``."""


def is_due(connection: sa.Connection) -> bool:
    """Whether entries have changed since they were last linked."""
    return connection.execute(sa.select(work_due.c.task).where(work_due.c.task == TASK)).first() is not None


def link(connection: sa.Connection) -> None:
    """Link the halves among the present entries, and nothing else."""
    statement = sa.select(*_COLUMNS).where(
        lora.c.state == "present", lora.c.error.is_(None), lora.c.architecture.in_(paired_architectures())
    )
    wanted = pair_up(Candidate(*row) for row in connection.execute(statement).all())
    stored = {row.lora_id: Link(row.partner_id, row.noise) for row in connection.execute(sa.select(lora_pair)).all()}
    outdated = [{"outdated": one} for one, found in stored.items() if wanted.get(one) != found]
    if outdated:
        connection.execute(lora_pair.delete().where(lora_pair.c.lora_id == sa.bindparam("outdated")), outdated)
    new = [
        {"lora_id": one, "partner_id": found.partner, "noise": found.noise}
        for one, found in sorted(wanted.items())
        if stored.get(one) != found
    ]
    if new:
        connection.execute(lora_pair.insert(), new)
    connection.execute(work_due.delete().where(work_due.c.task == TASK))


def partner_of(connection: sa.Connection, lora_id: int) -> PairLink | None:
    """The other half of an entry."""
    statement = (
        sa.select(lora.c.stable_id, lora_pair.c.noise)
        .select_from(lora_pair.join(lora, lora.c.id == lora_pair.c.lora_id))
        .where(lora_pair.c.lora_id == sa.select(_own.c.partner_id).where(_own.c.lora_id == lora_id).scalar_subquery())
    )
    found = connection.execute(statement).one_or_none()
    return None if found is None else PairLink(found.stable_id, found.noise)
