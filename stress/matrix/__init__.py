"""The load matrix: users x workers x batch size x engine, each cell against a freshly started system."""
