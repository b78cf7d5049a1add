"""Which texts every database can hold."""


def is_text(value: object) -> bool:
    """Whether `value` is a text that can be stored and read back the same."""
    if not isinstance(value, str) or "\x00" in value:  # PostgreSQL ends a text at NUL
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # an unpaired surrogate: no database can hold it
        return False
    return True
