"""Chaos and overload: a real stack, killed and paused at random or asked for far more than it can do, and then checked.

A folder of its own beside `bench/`: like a benchmark it is run for minutes and leaves a report; a small part of both is a test.
"""
