"""The whole way to a film, with the add-on's commands."""
