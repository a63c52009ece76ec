"""The tests; a package, so that no other one named `tests` is found in place of `tests.support`."""
