"""The load matrix: users x workers x batch size x engine, with a freshly started system for each cell."""
