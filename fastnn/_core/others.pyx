"""The phases of a step in which others, who train the network with other samples, take part.

Member 0 of the team speaks with them, by the exchange.
"""
from fastnn._core.buckets cimport Bucket, n_tiles_of_bucket, tile_of_bucket
from fastnn._core.exchange cimport Exchange
from fastnn._core.geometry cimport Rows, WeightTile
from fastnn._core.kernels cimport (
    flush_denormals,
    fnn_team,
    set_float_state,
    team_barrier,
    team_next_tile,
)
from fastnn._core.rows cimport sum_weights
from fastnn._core.signals cimport INTERRUPTED, RUNNING, votes_of
from fastnn._core.step cimport Others, Run, Sums
from fastnn._core.weights cimport store_gradient


cdef int sum_phase(Run *run, fnn_team *team, int member) noexcept nogil:
    """The sums of a stage, before the next one."""
    cdef int vote = RUNNING
    if member == 0:
        set_float_state(run.signals.caller_float_state)
        with gil:
            if (<Exchange> run.others.exchange).sum_next():
                vote = INTERRUPTED
        flush_denormals()
    return team_barrier(team, vote)


cdef int bucket_phase(Run *run, fnn_team *team, int member, const Rows *slab, const Bucket *bucket,
                      bint accumulate) noexcept nogil:
    """The gradient of a bucket, which is whole then: its sum over all may begin."""
    cdef WeightTile tile
    cdef size_t n_tiles = n_tiles_of_bucket(run.net.geometry, bucket)
    cdef size_t number = team_next_tile(team, member, n_tiles)
    cdef int vote = RUNNING
    while number < n_tiles and vote == RUNNING:
        tile = tile_of_bucket(run.net.geometry, bucket, number)
        store_gradient(&run.net, &tile, slab, accumulate, run.gradient)
        vote = votes_of(&run.signals, member)
        number = team_next_tile(team, member, n_tiles)
    vote = team_barrier(team, vote)
    if vote == RUNNING and member == 0:
        set_float_state(run.signals.caller_float_state)
        with gil:
            (<Exchange> run.others.exchange).announce()  # a failure is told in the end
        flush_denormals()
    return vote


cdef int finish_sums(Run *run, fnn_team *team, int member, int vote, bint is_empty,
                     Sums *sums) noexcept nogil:
    """All that is left to be summed up; who is interrupted, or forked, tells the others."""
    if member == 0:
        run.others.sums = sums[0]
        set_float_state(run.signals.caller_float_state)
        with gil:
            if (<Exchange> run.others.exchange).finish_step(
                    vote != RUNNING, is_empty, &run.others.sums.loss, &run.others.sums.hits):
                vote = INTERRUPTED
        flush_denormals()
    vote = team_barrier(team, vote)
    sums[0] = run.others.sums
    return vote


cdef void sum_epoch_weights(Run *run) noexcept nogil:
    """Of the samples of all, for each step of the epoch that begins."""
    cdef Others *others = &run.others
    cdef size_t step, first
    for step in range(others.n_steps):
        first = others.firsts[step]
        others.weights[step] = sum_weights(&run.net.batch, first, others.firsts[step + 1] - first)
    with gil:
        (<Exchange> others.exchange).sum_weights()
