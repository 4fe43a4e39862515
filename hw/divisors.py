"""Divisors of small numbers: lanes, cores, banks and beats are divided evenly."""


def divisors(number: int) -> list[int]:
    """The divisors of ``number``, ascending."""
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
