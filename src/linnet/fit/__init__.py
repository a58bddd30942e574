"""One model: from recipe and rows to an artifact."""
