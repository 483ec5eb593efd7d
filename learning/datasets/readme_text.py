"""The README.txt of a data set. It has no date, so that the same cases in the same labels make the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from learning.datasets.case_selection import CaseSelection

# `$size`: the height and width of the pictures that the network reads.
_HOW_TO_LOAD = {
    "imagefolder": """\
images/ has one folder of pictures for each label. A picture's name is the SHA-256 of the bytes that were sent. To load:

    import keras

    data = keras.utils.image_dataset_from_directory("images", image_size=$size)
    print(data.class_names)

A folder is named for its label, with the characters escaped that file systems do not allow. The manifest has the labels
unchanged.
""",
    "tfrecord": """\
cases.tfrecord has one tf.train.Example for each picture, in mixed order. To load it:

    import tensorflow as tf

    features = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
                "image/class/label": tf.io.FixedLenFeature([], tf.int64)}

    def read(record):
        example = tf.io.parse_single_example(record, features)
        picture = tf.io.decode_image(example["image/encoded"], channels=3, expand_animations=False)
        return tf.image.resize(picture, $size), example["image/class/label"]

    data = tf.data.TFRecordDataset("cases.tfrecord").map(read).batch(32)

Further features: image/format (jpeg or png), image/sha256, image/class/text (the label itself).
""",
}

_FILES_AND_COLUMNS = """\
labels.txt has one label on each line, in the order of the class numbers. The first is number 0.

manifest.csv and manifest.jsonl list all cases, including those without a picture in this archive:
  sha256           of the picture as it was sent
  file             the path of the picture in this archive, or empty
  label            the label a reviewer decided on, in the labels of the model version above; empty if the picture is
                   unusable or no label fits
  verdict          right (the model's label), corrected, no-label (see proposed_label), or unusable
  decisions        the number of rows in the case's history
  decided_at       when it was decided, in UTC
  model_version    the model that classified the picture
  predicted_label  the label it predicted, in the same labels
  score            the probability it gave that label, 0 to 1
  statements       the number of people who gave feedback
  in_audit         whether the picture was in the random sample; use only these for unbiased statistics
  changed          "converted" if the picture was re-encoded, "stripped" if only its metadata were removed (see below)
  missing          why the picture is missing: gone, damaged or undecodable
  proposed_label   what a reviewer says the picture shows, if the model has no label for it
  decided_label    the label or the proposed label in the words of the decision; labels may have changed since
  label_id         the label's id, which stays the same if the label is renamed; empty if it is not known

The CSV file is for spreadsheets: it begins with a byte order mark (in Python: encoding="utf-8-sig"), and an apostrophe
precedes each text that a spreadsheet would read as a formula. The JSON lines have the same texts unchanged.

A picture shows what the model saw: upright, in sRGB with 8 bits a channel, on white where it is transparent, and only
the first frame of an animation. No picture has metadata, such as the place where it was taken. JPEG and PNG files that
show this already keep their compressed pixels and lose their metadata only. A JPEG with an orientation, CMYK colours or
a colour profile other than sRGB is re-encoded as JPEG (quality 95). All others are re-encoded as PNG: WebP, GIF,
BMP, TIFF, AVIF and HEIC files, and PNG files that are turned, transparent, animated, not in sRGB or deeper than 8 bits.
"""


@dataclass(frozen=True)
class ExportCounts:
    """What a data set contains: numbers of `cases`, of `pictures` and so on. `labels` counts distinct ones.

    `without_label`: the cases whose picture shows something that no label says. `waiting`: the decided cases that are
    not in the data set because their label was split or dropped.
    """

    cases: int
    pictures: int
    labels: int
    converted: int
    missing: int
    unusable: int
    without_label: int = 0
    waiting: int = 0


def readme_text(selection: CaseSelection, kind: str, counts: ExportCounts) -> str:
    lines = [
        "Pictures with labels that reviewers have decided on.",
        "",
        f"Selected: {selection}",
        f"Cases:    {counts.cases:,}, of which {counts.unusable:,} unusable",
        f"Pictures: {counts.pictures:,} with {counts.labels:,} labels; {counts.converted:,} re-encoded",
    ]
    if counts.without_label:
        lines.append(f"No label: {counts.without_label:,} of these cases; no label says what the picture shows")
    if counts.waiting:
        lines.append(f"Left out: {waiting_sentence(counts.waiting)}")
    if counts.missing:
        lines.append(f"Missing:  {counts.missing:,} pictures that are no longer stored, or are damaged")
    how_to_load = Template(_HOW_TO_LOAD[kind]).substitute(size=selection.input_size())
    return "\n".join(lines) + "\n\n" + how_to_load + "\n" + _FILES_AND_COLUMNS


def waiting_sentence(number: int) -> str:
    """Says how many cases are left out until a reviewer decides them again, in the days of the selection."""
    waiting = "1 decided case waits" if number == 1 else f"{number:,} decided cases wait"
    return f"{waiting} for a new label, because a label was split or dropped"
