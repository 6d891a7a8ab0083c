"""The mini-batches of an epoch: in which order the samples come, which are next, what is done."""
from libc.stdint cimport int64_t, uint64_t

from fastnn._core.rows cimport sum_weights
from fastnn._core.state cimport Progress, bitgen_t
from fastnn._core.step cimport MiniBatch, Others, Run, Sums


cdef void shuffle(int64_t *order, const int64_t *subset, size_t n, bitgen_t *bitgen) noexcept nogil:
    """A random permutation: Fisher and Yates, from the identity, or the subset, every time."""
    cdef size_t i
    cdef uint64_t j, mask
    cdef int64_t swapped
    for i in range(n):
        order[i] = i if subset == NULL else subset[i]
    for i in range(n - 1, 0, -1):
        # j uniform in [0, i]: random bits, drawn again while too large
        mask = i
        mask |= mask >> 1
        mask |= mask >> 2
        mask |= mask >> 4
        mask |= mask >> 8
        mask |= mask >> 16
        mask |= mask >> 32
        j = bitgen.next_uint64(bitgen.state) & mask
        while j > i:
            j = bitgen.next_uint64(bitgen.state) & mask
        swapped = order[i]
        order[i] = order[j]
        order[j] = swapped


cdef MiniBatch next_batch(const Run *run, const Progress *progress) noexcept nogil:
    cdef MiniBatch batch
    cdef const Others *others = &run.others
    cdef size_t step = progress.step
    batch.start = progress.start
    batch.gathered = False
    if others.exchange == NULL:
        batch.n = min(run.batch_size, run.net.batch.n_samples - batch.start)
        batch.n_all = batch.n
        batch.weight = sum_weights(&run.net.batch, batch.start, batch.n)
        batch.noise_shift = 0
        return batch
    batch.n = others.firsts[step + 1] - others.firsts[step]
    batch.n_all = min(others.batch_size, others.n_samples - step * others.batch_size)
    batch.weight = others.weights[step]
    batch.noise_shift = others.noise_shifts[step]
    return batch


cdef void record_step(const Run *run, Progress *progress, const Sums *sums,
                      const MiniBatch *batch) noexcept nogil:
    """Goes on by a mini-batch."""
    cdef bint is_last = progress.start + batch.n == run.net.batch.n_samples
    if is_epoch_new(progress) and run.net.batch.n_before == 0:
        progress.epoch_loss = 0
        progress.epoch_hits = 0
        progress.epoch_weight = 0
    progress.n_updates += 1
    progress.epoch_loss += sums.loss
    progress.epoch_hits += sums.hits
    progress.start += batch.n
    if run.others.exchange != NULL:
        progress.step += 1
        is_last = progress.step == run.others.n_steps
    if not is_last:
        return
    progress.epoch_weight += run.net.batch.total_weight
    progress.is_block_done = run.has_blocks
    if run.is_last_block:
        progress.start = 0
        progress.step = 0
        progress.epoch += 1
