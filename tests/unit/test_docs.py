"""Docs that cannot lie: what the program knows of itself stands in them."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from progress_context.engine.catalog import load
from progress_context.query.schema import load_schema

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def _reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_reference", DOCS / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


REFERENCE = _reference()


@pytest.mark.parametrize("part", REFERENCE.PARTS)
def test_generated_parts_are_up_to_date(part: str) -> None:
    file, render = REFERENCE.PARTS[part]
    text = (DOCS / file).read_text("utf-8")
    assert text == REFERENCE.rendered(text, part, render()), "run `.venv/bin/python docs/reference.py`"


def test_every_read_model_is_described() -> None:
    text = (DOCS / "read-models.md").read_text("utf-8")
    assert [model.name for model in load() if f"`{model.name}`" not in text] == []


def test_every_query_is_described() -> None:
    query = load_schema().query_type
    assert query is not None
    text = (DOCS / "api.md").read_text("utf-8")
    assert [name for name in query.fields if f"`{name}`" not in text] == []


def test_every_subscription_is_described() -> None:
    subscription = load_schema().subscription_type
    assert subscription is not None
    text = (DOCS / "api.md").read_text("utf-8")
    assert [name for name in subscription.fields if f"`{name}`" not in text] == []


def test_every_metric_that_the_docs_name_exists() -> None:
    names = set(re.findall(r"^\| `(progress_\w+)", REFERENCE.metrics(), re.MULTILINE))
    text = (DOCS / "operations.md").read_text("utf-8")
    roles = {"progress_command", "progress_projection", "progress_query"}
    assert set(re.findall(r"`(progress_[a-z_]+)", text)) - roles - names == set()


@pytest.mark.parametrize(
    "page", sorted([*DOCS.rglob("*.md"), ROOT / "README.md"]), ids=lambda page: page.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_setting_has_a_readable_default() -> None:
    for variable, default, about in REFERENCE.describe():
        assert about, variable
        assert "object at" not in default
