"""The only module that imports TensorFlow and Keras: with fixed settings and without TensorFlow's log lines.

The import takes seconds and hundreds of megabytes. Import this module inside functions, or in modules that are
themselves imported late.
"""

import os

# Keras reads its backend and TensorFlow its log level once, when they are imported.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow  # noqa: E402

tensorflow.get_logger().setLevel("WARNING")  # at INFO it reports every file that it writes

import keras  # noqa: E402

# A keras.json in the user's home folder must not change what a network computes.
keras.config.set_image_data_format("channels_last")
keras.config.set_floatx("float32")

__all__ = ["keras", "tensorflow"]
