"""The recorder as a callback of other libraries' trainers, a module for each of them."""
