import signal

# The tests' folders are called like what they test. pytest would take this name for tests/addon.
import addon  # noqa: F401

# A shell's background jobs ignore interrupts, and so would the processes that are tested by them.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
