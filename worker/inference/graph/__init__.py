"""Functions that read and edit networks in OpenVINO's format. They take and return `openvino.Model`."""
