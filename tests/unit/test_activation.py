"""What the partitions say of a choice: in use, refused or silent, told from what they said before it."""

from __future__ import annotations

from typing import Any

import pytest

from infra.activation import Hearing
from models.records import Cause, Counts, ShadowCounts

OLD, NEW = "a" * 64, "b" * 64


def counts(model: str = OLD, models: int = 0, refused: str | None = None, shadow: str | None = None) -> Counts:
    beside = None
    if shadow is not None:
        beside = ShadowCounts(digest=shadow, compared=1, difference=0.0, active_only=0, shadow_only=0)
    return Counts(ts=1.0, cause=Cause(0, 1), model=model, models=models, refused=refused, shadow=beside)


def hearing(role: Any = "active", digest: str | None = NEW, before: Counts | None = None) -> Hearing:
    return Hearing(role, digest, {0: before, 1: before})


def test_nobody_has_said_anything() -> None:
    answers = hearing().answers()
    assert answers.in_use == ()
    assert set(answers.silent) == {0, 1}
    assert "is a worker running?" in answers.silent[0]
    assert not answers.complete


def test_what_was_said_before_the_choice_does_not_count() -> None:
    assert set(hearing(before=counts(NEW)).answers().silent) == {0, 1}


def test_a_partition_uses_what_its_counts_name() -> None:
    heard = hearing()
    heard.hear(1, counts(NEW, 1))
    answers = heard.answers()
    assert (answers.in_use, set(answers.silent)) == ((1,), {0})
    heard.hear(0, counts(OLD))
    assert heard.answers().silent == {0: f"still uses {OLD[:16]}"}
    heard.hear(0, counts(NEW, 1))
    assert heard.answers().complete


def test_a_refusal_is_told_once_the_choice_has_arrived() -> None:
    why = f"active {NEW[:16]}: it is not there"
    heard = hearing(before=counts(models=3, refused=why))
    heard.hear(0, counts(models=3, refused=why))
    assert heard.answers().refused == {}, "that was of the same digest, chosen before"
    heard.hear(0, counts(models=4, refused=why))
    assert heard.answers().refused == {0: why}


@pytest.mark.parametrize("why", [f"active {OLD[:16]}: gone", f"shadow {NEW[:16]}: gone"])
def test_the_refusal_of_another_choice_is_none_of_this_one(why: str) -> None:
    heard = hearing()
    heard.hear(0, counts(models=2, refused=why))
    assert heard.answers().refused == {}


def test_a_shadow_is_in_use_when_it_is_compared() -> None:
    heard = hearing("shadow")
    heard.hear(0, counts(models=1))
    heard.hear(1, counts(models=1, shadow=NEW))
    assert heard.answers().in_use == (1,)


def test_a_shadow_that_is_the_active_model_has_nothing_to_be_compared_with() -> None:
    heard = hearing("shadow")
    heard.hear(0, counts(NEW, 1))
    assert heard.answers().in_use == (0,)


def test_a_shadow_has_ended_when_none_is_told() -> None:
    heard = hearing("shadow", None)
    heard.hear(0, counts(shadow=NEW))
    heard.hear(1, counts())
    assert heard.answers().in_use == (1,)
