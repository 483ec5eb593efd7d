"""Label sets that tests share."""

from __future__ import annotations

from worker.inference.repository.labels import Label

# A few ordinary labels, and those that pages, files and file systems may get wrong.
FOUR = (Label("1", "cat", "cat"), Label("2", "dog", "dog"), Label("3", "hen", "hen"), Label("4", "cow", "cow"))
ODD = (
    Label("1", "<b>bold</b> & \"quoted\" 'label'", "<b>bold</b> & \"quoted\" 'label'"),
    Label("2", "../../etc/passwd", "../../etc/passwd"),
    Label("3", "=HYPERLINK(1)", "=HYPERLINK(1)", ("+1", "@cell")),
    Label("4", "كلب البحر", "كلب البحر"),
    Label("5", "🐈 cat", "🐈 cat", (), "A <i>cat</i>, with an emoji"),
    Label("6", "long_" * 40, "long_" * 40),
    Label("7", "W" * 200, "W" * 200),
    Label("8", "Apple", "Apple"),
    Label("9", "apple", "apple"),
    Label("10", "CON", "CON"),
)


def many_labels(number: int = 12_000) -> tuple[Label, ...]:
    """Returns labels of two words, such as `amber_falcon_0001`, each with a synonym and a description."""
    colours = ("amber", "azure", "crimson", "emerald", "ivory", "jade", "scarlet", "violet")
    animals = ("falcon", "heron", "lizard", "marten", "otter", "raven", "salmon", "tortoise", "walrus")
    labels = []
    for index in range(number):
        name = f"{colours[index % len(colours)]}_{animals[index % len(animals)]}_{index:05}"
        labels.append(Label(f"id-{index:05}", name, name, (f"species {index:05}",), f"Number {index} of the catalogue"))
    return tuple(labels)
