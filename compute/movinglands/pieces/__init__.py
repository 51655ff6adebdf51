"""Our own pieces: recipes, and what they ask for, trained and computed."""
