# The tests' folders are called like what they test. pytest would take this name for tests/addon.
import addon  # noqa: F401
