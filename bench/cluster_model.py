"""What training on many ranks takes, by a model of computation, bytes and latencies.

A step of p ranks with n samples each takes ``fixed + n per_sample`` seconds of computation on each
of them, and the sum of the gradient over all. That is hidden behind the computation as far as the
gradients of other buckets are still being computed then; what is left comes on top.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2


@dataclass(frozen=True)
class Network:
    """What lies between two ranks: seconds of a message without bytes, and bytes a second."""

    name: str
    latency: float
    bandwidth: float


#: Ethernet with TCP, and a fabric with remote memory access: some 90 % of what they are called.
NETWORKS = (
    Network("10 Gbit/s", 20e-6, 1.1e9),
    Network("100 Gbit/s", 1.5e-6, 11e9),
)


@dataclass(frozen=True)
class Rank:
    """What one rank was measured to take.

    Attributes
    ----------
    fixed : float
        Seconds of a step that do not depend on its samples: mostly the update.
    per_sample : float
        Seconds a sample: forward, backward, gradient.
    add : float
        Seconds that adding up a byte takes.
    """

    fixed: float
    per_sample: float
    add: float

    def step(self, n_samples: float) -> float:
        return self.fixed + n_samples * self.per_sample


#: Of the time of a sample, what the weights' gradient takes: one product of three.
GRADIENT_SHARE = 1 / 3


def sum_seconds(n_bytes: float, p: int, network: Network, rank: Rank) -> float:
    """An all-reduce, by the best of three algorithms: ring, Rabenseifner's, recursive doubling."""
    if p == 1:
        return 0
    hops = ceil(log2(p))
    moved = (p - 1) / p * n_bytes
    bytes_twice = 2 * moved / network.bandwidth + moved * rank.add
    ring = 2 * (p - 1) * network.latency + bytes_twice
    halving = 2 * hops * network.latency + bytes_twice
    doubling = hops * (network.latency + n_bytes / network.bandwidth + n_bytes * rank.add)
    return min(ring, halving, doubling)


def step_seconds(
    rank: Rank,
    network: Network,
    p: int,
    batch_size: float,
    buckets: Sequence[float],
    overlaps: bool = True,
) -> float:
    """A step of p ranks, whose mini-batch is `batch_size` samples of all.

    Parameters
    ----------
    buckets : sequence of float
        Bytes of each bucket, in the order of their sums.
    overlaps : bool
        Whether sums go on while the rank computes.
    """
    n = batch_size / p
    total, status = sum(buckets), sum_seconds(24, p, network, rank)
    sums = [sum_seconds(n_bytes, p, network, rank) for n_bytes in buckets]
    if not overlaps:
        return rank.step(n) + sum(sums) + status
    computing = done = 0.0  # when a bucket's gradient is there, and when the sums so far are
    for n_bytes, seconds in zip(buckets, sums, strict=True):
        computing += GRADIENT_SHARE * n * rank.per_sample * n_bytes / total
        done = max(computing, done) + seconds
    return rank.step(n) + (done - computing) + status


def speedup(
    rank: Rank, network: Network, p: int, batch_size: float, buckets: Sequence[float]
) -> float:
    """How many times as fast as one rank p of them are, with the same mini-batches."""
    alone = rank.step(batch_size)
    return alone / step_seconds(rank, network, p, batch_size, buckets)


def last_that_pays(
    rank: Rank, network: Network, batch_size: float, buckets: Sequence[float]
) -> int:
    """The largest number of ranks that is at least 1.5 times as fast as half of it."""
    p = 1
    while p < 4096 and (
        speedup(rank, network, 2 * p, batch_size, buckets)
        >= 1.5 * speedup(rank, network, p, batch_size, buckets)
    ):
        p *= 2
    return p
