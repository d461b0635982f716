"""Check, once the corpus is read and before it is embedded, all that its rows decide."""

from __future__ import annotations

from ray_subsel.config import RunConfig
from ray_subsel.constraints.size import resolve_k
from ray_subsel.constraints.spec import ConstraintSpec
from ray_subsel.core.errors import Verbatim, invalid
from ray_subsel.corpus.constraint_columns import group_column
from ray_subsel.corpus.id_lists import IdLists
from ray_subsel.corpus.rows import RowStore
from ray_subsel.stages.constraint_table import group_names, row_ids


def check_rows(config: RunConfig, rows: RowStore, lists: IdLists) -> None:
    """Refuse named rows that are not there, groups that no row has, and a k above the rows.

    Raises
    ------
    InputError
    """
    select = config.select
    if select is None:
        return
    if select.per is None:
        resolve_k(select.k, select.fraction, rows=rows.n_rows, items=rows.n_rows, no_limit=True)
    both = set(row_ids(rows, lists.include, "include", config.corpus.id).tolist()) & set(
        row_ids(rows, lists.exclude, "exclude", config.corpus.id).tolist()
    )
    if both:
        raise invalid("exclude", "share no row with include", Verbatim(f"row {min(both)} in both"))
    if select.grouped and select.per is None:
        spec = ConstraintSpec.parse(select.quotas, select.floors, select.budget)
        spec.check_names(group_names(rows, group_column(config.corpus)))
