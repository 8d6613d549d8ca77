"""`verify`: prove that the stored rows are what the events say."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import MofNCompleteColumn

from progress_context.commands.common import console, progress_bar, with_pool
from progress_context.commands.read_models import print_differences
from progress_context.errors import SettingsError

if TYPE_CHECKING:
    from progress_context.engine.catalog import Catalog
    from progress_context.engine.verify import Verdict
    from progress_context.log.database import Pool
    from progress_context.settings import Settings


def verify(*names: str, sample: int | None = None, seed: int = 0) -> None:
    """Compute stored read models again from the events and compare; exit code 1 if any row differs.

    Only reads, and lets live work go on.

    Parameters
    ----------
    names
        Read models to verify. Default: all that are stored.
    sample
        Look at this many learners only.
    seed
        Another seed, other learners.
    """
    from progress_context.engine.verify import verify as verify_rows
    from progress_context.services.projection import catalog_of

    if sample is not None and sample < 1:
        raise SettingsError("--sample must be at least 1")

    async def work(pool: Pool, settings: Settings) -> Verdict:
        catalog = catalog_of(settings)
        _check_names(catalog, names)
        with progress_bar(MofNCompleteColumn()) as bar:
            task = bar.add_task("verifying learners", total=None)
            return await verify_rows(
                pool, catalog, names, sample=sample, seed=seed,
                report=lambda done, total: bar.update(task, completed=done, total=total),
            )  # fmt: skip

    verdict = with_pool(work)
    _print(verdict)
    if not verdict.sound:
        console.print("`progress-context rebuild NAME` computes a read model anew")
        sys.exit(1)


def _check_names(catalog: Catalog, names: tuple[str, ...]) -> None:
    stored = sorted(model.name for model in catalog.stored())
    for name in names:
        if name not in stored:
            what = "is lazy: nothing is stored" if name in catalog.models else "is no read model"
            raise SettingsError(f"{name} {what}; stored are {', '.join(stored)}")


def _print(verdict: Verdict) -> None:
    out = Console()
    rows = 0
    for name, found in sorted(verdict.comparisons.items()):
        rows += found.rows
        if found.differing:
            out.print(f"{name}: {found.differing:,} of {found.rows:,} rows differ")
            print_differences(found)
    for reason, count in sorted((+verdict.left_out).items()):
        console.print(f"[dim]left out: {reason} ({count:,})[/]", highlight=False)
    if verdict.sound:
        out.print(
            f"sound: {rows:,} rows of {len(verdict.comparisons)} read models are what the events say,"
            f" {verdict.learners:,} learners"
        )
