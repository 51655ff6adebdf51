"""The one exception that a user is meant to read."""


class UserError(ValueError):
    """Bad input, said in one sentence: which file, which field, what was expected.

    The command line prints it without a traceback and exits with code 2.
    """
