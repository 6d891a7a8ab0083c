"""What training changes: its first value, copies."""

import numpy as np
import pytest

from fastnn import Adam, Dense
from fastnn._architecture import Architecture
from fastnn._state import State, Training
from fastnn.optimizers import OPTIMIZERS

LAYERS = [Dense(2, "tanh"), Dense(1)]


def initial(dtype: str = "float32") -> State:
    return State.initial(Architecture.checked(LAYERS, None, dtype, 0), 3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_slots_are_zero_at_first_and_kept_for_the_same_kind(name: str) -> None:
    kind = OPTIMIZERS[name]
    state = initial()
    slots, n_updates = state.slots_for(kind())
    assert slots.shape == (kind.n_slots, 11)
    assert slots.dtype == np.float32
    assert not slots.any()
    assert n_updates == 0
    state.training, state.slots, state.n_updates = Training(kind(), 8, True), slots, 3
    assert state.slots_for(kind(0.5))[0] is slots
    assert state.slots_for(kind(0.5))[1] == 3
    other = OPTIMIZERS["sgd" if name != "sgd" else "adam"]
    assert state.slots_for(other())[1] == 0


def test_copy_is_whole_and_independent() -> None:
    state = initial()
    slots, _ = state.slots_for(OPTIMIZERS["adam"]())
    state.training, state.slots, state.n_updates = Training(Adam(0.5), None, False), slots, 3
    twin = state.copy(
        np.dtype("float64"), Architecture.checked(LAYERS, None, "float32", 0).shapes(3)
    )
    assert (twin.training, twin.n_updates) == (Training(Adam(0.5), None, False), 3)
    assert twin.parameters.dtype == twin.slots.dtype == np.float64
    assert twin.bit_generator.state == state.bit_generator.state
    twin.bit_generator.random_raw()
    assert twin.bit_generator.state != state.bit_generator.state
    assert not np.shares_memory(twin.parameters, state.parameters)
    assert not np.shares_memory(twin.slots, state.slots)
