"""The one place that imports Keras: with TensorFlow under it, and without TensorFlow's chatter.

Importing this module costs seconds and hundreds of megabytes; nothing imports it at its top level but
what cannot do without.
"""

import os

# Keras reads its backend, TensorFlow its log level, once, at import.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402
import tensorflow  # noqa: E402

tensorflow.get_logger().setLevel("WARNING")  # it tells of every file that it writes

# A keras.json in somebody's home folder must not change what a network is.
keras.config.set_image_data_format("channels_last")
keras.config.set_floatx("float32")

__all__ = ["keras", "tensorflow"]
