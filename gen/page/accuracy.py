"""Accuracy, and the confusion matrix where labels are known."""

from collections.abc import Mapping, Sequence
from typing import Any

from gen.page.html import Markup, join, number, percent, tag
from gen.page.layout import note

SHADES = 8
"""Steps of shade of a confusion matrix."""


def accuracy_section(report: Mapping[str, Any]) -> Markup:
    """Accuracy of a report's checkpoint, and what the self-test on the chip checks."""
    known = report["accuracy"]
    words = "The checkpoint does not say what accuracy was measured." if known is None else None
    samples = report["self_test_samples"]
    test = f"{samples} {report['self_test_of']}" if samples else "nothing, since not one sample fits"
    check = f"The self-test on the chip replays {test}."
    if report["target"] != "board":
        check = "The testbench in the package compares them."
    return join(
        tag("p", words or ["Test accuracy of the checkpoint: ", tag("strong", percent(known, 2)), "."]),
        note("The checkpoint holds floats; its integers were rounded here, and its accuracy is not theirs.")
        if report["rounded_from_floats"]
        else None,
        tag(
            "p",
            f"The integers that training computed are those that the hardware computes. {check}",
        ),
        note("sim.run --html shows the confusion matrix of a data set."),
    )


def confusion_matrix(counts: Sequence[Sequence[int]]) -> Markup:
    """A table of true classes (rows) and found ones (columns); darker cells have a larger share of their row."""
    classes = range(len(counts))
    head = tag("tr", tag("td", class_="corner"), (tag("th", index, scope="col") for index in classes))
    rows = [
        tag(
            "tr",
            tag("th", index, scope="row"),
            (confusion_cell(count, index == column, max(1, sum(row))) for column, count in enumerate(row)),
        )
        for index, row in enumerate(counts)
    ]
    caption = tag("caption", "True class (rows) and class found (columns)")
    inside = tag("table", caption, tag("thead", head), tag("tbody", rows), class_="confusion")
    return tag("div", inside, class_="scroll", tabindex=0, role="region", aria_label="Confusion matrix")


def confusion_cell(count: int, right: bool, total: int) -> Markup:
    """One count; zeros are left pale."""
    shade = -(-count * SHADES // total)
    return tag("td", number(count), class_=f"{'right' if right else 'wrong'} shade-{shade}")
