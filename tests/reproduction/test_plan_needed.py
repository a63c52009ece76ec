"""What `reproduce` is given in place of a plan."""

import pytest

import latentlang as ll


def test_a_name_is_no_plan():
    with pytest.raises(ll.InputError, match=r"a plan is needed, not 'spontaneous'; .*reproduction\.plan\("):
        ll.reproduce("spontaneous")  # type: ignore[arg-type]
