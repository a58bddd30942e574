"""What all rooms stand on, and that knows nothing of learning."""
