"""All that training changes, with a copy to go back to."""
from libc.stdint cimport int64_t, uint64_t

from fastnn._core.clock cimport now
from fastnn._core.kernels cimport data_of

# A copy is made when a hundred times as long has passed as the last one took: 1 % of the time. A copy
# before every portion took 10 % of a step of 1024-2048-2048-1000.
cdef double SAVE_SHARE = 0.01

# Numbers that are hashed side by side, as a multiplication takes several cycles.
cdef enum:
    HASH_LANES = 8
cdef uint64_t FNV_PRIME = 0x100000001B3  # Fowler, Noll and Vo's for 64 bits


cdef uint64_t hash_words(const uint64_t *words, size_t n) noexcept nogil:
    """A number that changes when any of the words does."""
    cdef uint64_t lanes[HASH_LANES]
    cdef uint64_t result = n
    cdef size_t whole = n - n % <size_t> HASH_LANES, i = 0, lane
    for lane in range(<size_t> HASH_LANES):
        lanes[lane] = lane
    while i < whole:
        for lane in range(<size_t> HASH_LANES):
            lanes[lane] = (lanes[lane] ^ words[i + lane]) * FNV_PRIME
        i += HASH_LANES
    for i in range(whole, n):
        lanes[0] = (lanes[0] ^ words[i]) * FNV_PRIME
    for lane in range(<size_t> HASH_LANES):
        result = (result ^ lanes[lane]) * FNV_PRIME
    return result


cdef class TrainingState:
    """All arrays that steps change, the order of the samples, random state and progress.

    Updates are written in place, and whether one is finite is known afterwards. So a step that
    fails is undone by going back to a copy and repeating the good steps since, bit for bit. Steps
    can be repeated, what a user wrote between them cannot: so a copy is made whenever the
    parameters are not those that the last step left.

    Parameters
    ----------
    blocks : tuple of ndarray
        What steps change: the parameters, the running statistics, the slots, averages.
    n_updates : int
        Steps that the slots have seen.
    order : ndarray of shape (n_samples,), int64, or None
    bit_generator : numpy.random.BitGenerator or None
    copies : tuple of ndarray
        Memory for copies of the blocks.
    saved_order : ndarray like `order`, or None
        The same of the order.
    """

    def __init__(self, tuple blocks, uint64_t n_updates, order, bit_generator, tuple copies,
                 saved_order):
        self.blocks = blocks
        self.parameters = blocks[0]
        self.order = order
        self.bit_generator = bit_generator
        self.progress.n_updates = n_updates
        self.copies = copies
        self.saved_order = saved_order

    cdef int save(self) except -1:
        cdef double start = now()
        for block, copy in zip(self.blocks, self.copies):
            copy[:] = block
        if self.order is not None:
            self.saved_order[:] = self.order
            self.saved_random_state = self.bit_generator.state
        self.saved_progress = self.progress
        self.next_save = now() + (now() - start) / SAVE_SHARE
        return 0

    cdef bint is_as_left(self, bint watched) except -1:
        """Whether the parameters are those that the last step left.

        `watched`: whether a user has views of them.
        """
        return not watched or self.has_checksum and self.checksum == self.measure_checksum()

    cdef int save_if_due(self, bint as_left) except -1:
        """Saves after a while, and at once where the parameters are not as the last step left them."""
        if now() >= self.next_save or not as_left:
            self.save()
        return 0

    cdef int note_checksum(self, bint watched) except -1:
        """To be called when steps are done, before any code of a user's runs."""
        self.has_checksum = watched
        if watched:
            self.checksum = self.measure_checksum()
        return 0

    cdef uint64_t measure_checksum(self) except? 0:
        """Of the parameters, in words of 8 bytes; an odd float32 at the end is hashed apart."""
        cdef size_t n_bytes = self.parameters.nbytes, i
        cdef const char *data = data_of(self.parameters, self.parameters.dtype,
                                        self.parameters.shape)
        cdef uint64_t last = 0
        cdef uint64_t result
        with nogil:
            for i in range(n_bytes - n_bytes % 8, n_bytes):
                last = last << 8 | <unsigned char> data[i]
            result = hash_words(<const uint64_t *> data, n_bytes // 8) ^ last * FNV_PRIME
        return result

    cdef int restore(self) except -1:
        """Goes back to the copy."""
        for block, copy in zip(self.blocks, self.copies):
            block[:] = copy
        if self.order is not None:
            self.order[:] = self.saved_order
            self.bit_generator.state = self.saved_random_state
        self.progress = self.saved_progress
        return 0


cdef void shuffle(int64_t *order, size_t n, bitgen_t *bitgen) noexcept nogil:
    """A random permutation: Fisher and Yates, from the identity every time."""
    cdef size_t i
    cdef uint64_t j, mask
    cdef int64_t swapped
    for i in range(n):
        order[i] = i
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
