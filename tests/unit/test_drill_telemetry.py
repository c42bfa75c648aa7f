"""A fleet in which any node can be struck while it is told: the past stays as it was, and the node comes back."""

from __future__ import annotations

from connectors.ports import RowFrame
from infra.drill.telemetry import StruckFleet

NODES = 4
START = 1_763_942_400.0


def taken(fleet: StruckFleet, steps: int) -> list[list[RowFrame]]:
    live = fleet.live(START)
    return [list(next(live).take()) for _ in range(steps)]  # type: ignore[arg-type]


def after_the_past() -> StruckFleet:
    fleet = StruckFleet(NODES, START, 1.0)
    for moment in fleet.history():
        moment.take()
    return fleet


def frames(moments: list[list[RowFrame]]) -> list[tuple[str, float, bytes]]:
    return [(one.node, one.ts, one.row.tobytes()) for moment in moments for one in moment]


def test_a_strike_changes_nothing_before_it_and_no_other_node_but_those_that_idle() -> None:
    calm, struck = after_the_past(), after_the_past()
    before = taken(calm, 20)
    moments = taken(struck, 5)
    struck.strike("n02", 8.0, 4.0)
    live = struck.live(START)
    moments += [list(next(live).take()) for _ in range(15)]  # type: ignore[arg-type]
    assert frames(moments[:5]) == frames(before[:5])
    others = [[one for one in moment if one.node != "n02"] for moment in moments[:13]]
    assert frames(others) == frames([[one for one in moment if one.node != "n02"] for moment in before[:13]])
    of_it = [next((one for one in moment if one.node == "n02"), None) for moment in moments]
    assert any(
        one is not None and one.row.tobytes() != two.row.tobytes()
        for one, two in zip(of_it[5:13], n02(before), strict=True)
    )
    assert of_it[13:17] == [None] * 4


def n02(moments: list[list[RowFrame]]) -> list[RowFrame]:
    return [next(one for one in moment if one.node == "n02") for moment in moments[5:13]]


def test_a_sudden_strike_has_no_sign_and_the_node_is_back_after_its_repair() -> None:
    fleet = after_the_past()
    taken(fleet, 3)
    fleet.strike("n01", 0.0, 5.0)
    live = fleet.live(START)
    seen = ["n01" in {one.node for one in next(live).take()} for _ in range(12)]
    assert seen[:6] == [False] * 6
    assert all(seen[6:]) or sum(seen[6:]) >= 5  # single frames may be missing in any fleet


def test_two_strikes_one_after_the_other_are_both_felt() -> None:
    fleet = after_the_past()
    fleet.strike("n01", 0.0, 3.0)
    taken(fleet, 10)
    fleet.strike("n01", 0.0, 3.0)
    fleet.strike("n03", 0.0, 3.0)
    live = fleet.live(START)
    down = [{one.node for one in next(live).take()} for _ in range(4)]
    assert not any({"n01", "n03"} & names for names in down[:4])
    assert any("n00" in names for names in down)


def test_the_release_lets_nothing_fail_by_itself() -> None:
    fleet, other = after_the_past(), after_the_past()
    fleet.release()
    assert frames(taken(fleet, 30)) == frames(taken(other, 30))
