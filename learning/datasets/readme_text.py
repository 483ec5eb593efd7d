"""What stands in the README.txt of a data set. No date of its making: the same cases make the same bytes."""

from __future__ import annotations

from dataclasses import dataclass

from learning.datasets.selection import Selection

_LOAD = {
    "imagefolder": """\
Pictures lie in one folder for each label, named by the SHA-256 of the bytes that were sent. To load them:

    import keras

    data = keras.utils.image_dataset_from_directory("images", image_size=(224, 224))
    print(data.class_names)

A folder's name is its label, as far as a file system allows that; the manifest has the labels as they are.
""",
    "tfrecord": """\
cases.tfrecord holds one tf.train.Example for each picture, in an order as good as chance. To load it:

    import tensorflow as tf

    features = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
                "image/class/label": tf.io.FixedLenFeature([], tf.int64)}

    def read(record):
        example = tf.io.parse_single_example(record, features)
        picture = tf.io.decode_image(example["image/encoded"], channels=3, expand_animations=False)
        return tf.image.resize(picture, (224, 224)), example["image/class/label"]

    data = tf.data.TFRecordDataset("cases.tfrecord").map(read).batch(32)

Further features: image/format (jpeg or png), image/sha256, image/class/text (the label itself).
""",
}

_REST = """\
labels.txt has one label on each line; the first one is number 0.

manifest.csv and manifest.jsonl list every case, those too of which there is no picture here:
  sha256           of the picture as it was sent
  file             where it lies in this archive; empty if it does not
  label            what a reviewer says it is; empty if the picture is unusable
  verdict          right (the model was), corrected, or unusable
  decisions        how many rows the history of the case has
  decided_at       when it was decided, in UTC
  model_version    which model had answered
  predicted_label  what it had answered
  score            the probability that it gave that label, 0 to 1
  statements       how many people had said something of the answer
  in_audit         whether the picture was in the random sample: statistics without bias need those only
  changed          converted: the picture was encoded anew (see below)
  missing          why there is no picture: gone, damaged or undecodable

In the CSV file a text that a spreadsheet would take for a formula has an apostrophe before it.

Pictures are as they were sent, with these exceptions: JPEGs that are to be turned as their EXIF data say are turned,
and JPEGs in CMYK are in RGB (quality 95); WebP, GIF (its first frame) and what is partly transparent (laid on white,
as the model saw it) are PNGs.
"""


@dataclass(frozen=True)
class Counts:
    cases: int
    pictures: int
    labels: int
    converted: int
    missing: int
    unusable: int


def read_me(selection: Selection, kind: str, counts: Counts) -> str:
    lines = [
        "Pictures that people have looked at and decided on.",
        "",
        f"Selected: {selection}",
        f"Cases:    {counts.cases:,}, of which {counts.unusable:,} unusable",
        f"Pictures: {counts.pictures:,} with {counts.labels:,} labels; {counts.converted:,} of them encoded anew",
    ]
    if counts.missing:
        lines.append(f"Missing:  {counts.missing:,} pictures that are not stored any more, or are damaged")
    return "\n".join(lines) + "\n\n" + _LOAD[kind] + "\n" + _REST
