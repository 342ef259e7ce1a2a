"""Work that takes more than one request."""
