"""The base of all rooms: files, randomness, memory. Nothing here knows about learning."""
