"""What is held against the user's own network, before any frame and after each."""
