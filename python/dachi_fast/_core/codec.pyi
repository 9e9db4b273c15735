"""One value to canonical msgpack and back."""

def encode(value: object) -> bytes:
    """Gives the canonical bytes of a value.

    Raises:
        StateTypeError: a type that state cannot hold; ``context["path"]`` says where.
        StateValueError: a cycle, a nest deeper than 200, or a value over 4 GiB.
    """

def decode(data: bytes) -> object:
    """Gives the value that `encode` was given, equal in value and type.

    Raises:
        Malformed: the bytes are not one well-formed value.
        StateTypeError: a class in it is not registered in this process.
    """
