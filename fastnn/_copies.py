"""Networks as plain data, and what is made of that: copies, pickles, model files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy.typing as npt

from fastnn import _validation
from fastnn._architecture import Architecture
from fastnn._description import entries
from fastnn._state import NO_STATE, State
from fastnn.layers import Layer

if TYPE_CHECKING:
    from fastnn.network import Network

Array = npt.NDArray[Any]
NetworkType = TypeVar("NetworkType", bound="Network")


def copy(
    net: NetworkType, dtype: npt.DTypeLike | None, layers: Sequence[Layer] | None
) -> NetworkType:
    """See `Network.copy`; without the attributes that a subclass has added."""
    architecture = net._architecture.changed(dtype, layers)
    twin = net._bare(architecture)
    plan, built = net._plan, net._state
    if plan is not None and built is not None:
        # The plan is shared: copies have the same, and take turns with its buffers
        if twin.dtype != net.dtype or layers is not None:
            plan = architecture.plan(plan.n_features)
        with net._access.reading():
            state = built.copy(twin.dtype, net._shapes)
        twin._adopt(plan, state.with_output(architecture, plan.n_features))
    return twin


def to_data(net: Network) -> tuple[dict[str, Any], dict[str, Array]]:
    """See `Network.to_data`."""
    plan, state = net._plan, net._state
    n_features = None if plan is None else plan.n_features
    description = {**net._architecture.description(), "n_features": n_features}
    if state is None or plan is None:
        return description | NO_STATE, {}
    with net._access.reading():
        state.check(net._architecture, plan.n_features)
        return description | state.description(), state.tensors()


def many_to_data(networks: Sequence[Network]) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """Descriptions of several networks, and all tensors: those of network i begin with ``i.``."""
    descriptions: list[dict[str, Any]] = []
    tensors: dict[str, Array] = {}
    for i, net in enumerate(networks):
        description, own = net.to_data()
        descriptions.append(description)
        tensors |= {f"{i}.{name}": tensor for name, tensor in own.items()}
    return descriptions, tensors


def many_from_data(descriptions: Any, tensors: dict[str, Array]) -> list[Network]:
    """The networks that `many_to_data` has made these of; ValueError for anything else."""
    from fastnn.network import Network

    if not isinstance(descriptions, list):
        raise ValueError(f"networks must be a list, got {_validation.short(descriptions)}")
    left, networks = dict(tensors), []
    for i, description in enumerate(descriptions):
        prefix = f"{i}."
        names = [name for name in left if name.startswith(prefix)]
        own = {name.removeprefix(prefix): left.pop(name) for name in names}
        networks.append(Network.from_data(description, own))
    entries(left, [], "the other tensors")
    return networks


def rebuild(description: Any, tensors: Any, network_class: type[NetworkType]) -> NetworkType:
    """The network whose `to_data` these are; ValueError for anything else."""
    from fastnn.network import Network

    try:
        if not issubclass(network_class, Network):
            raise ValueError(f"{network_class!r} is not a class of networks")
        if isinstance(description, dict) and "kind" in description:
            raise ValueError(f"{description['kind']}.load reads this file")
        layers, loss, dtype, seed, n_features, *of_state = entries(
            description,
            ["layers", "loss", "dtype", "seed", "n_features", *NO_STATE],
            "the description",
        )
        net = network_class._bare(Architecture.read(layers, loss, dtype, seed))
        if n_features is None:
            entries(tensors, [], "the tensors")
            if of_state != list(NO_STATE.values()):
                raise ValueError("a network without n_features must have no state")
            return net
        n_features = _validation.positive_int(
            n_features, "n_features", at_most=_validation.MAX_SIZE
        )
        state = State.read(of_state, tensors, net._architecture, n_features)
        net._adopt(net._architecture.plan(n_features), state)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not a network that this version can read: {error}") from error
    return net
