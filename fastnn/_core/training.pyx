"""Training of one network, in portions; and the gradient alone."""
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

import numpy as np

from fastnn._core.access cimport Access
from fastnn._core.clock cimport now
from fastnn._core.deferred cimport Deferred, steps_of_period
from fastnn._core.exchange cimport Exchange
from fastnn._core.geometry cimport Batch, Geometry
from fastnn._core.kernels cimport (
    FNN_MAX_CONSTANTS,
    data_of,
    fill_hyperparameters,
    find_caches,
    find_optimizer,
)
from fastnn._core.plan cimport Plan
from fastnn._core.regularization cimport LayerRules, Rules
from fastnn._core.rows cimport check_labels
from fastnn._core.signals cimport LOSS_NOT_FINITE, UPDATE_NOT_FINITE, UserCode
from fastnn._core.state cimport Progress, TrainingState, bitgen_t
from fastnn._core.step cimport FUSED, Run
from fastnn._core.tuner cimport Tuner, choose_threads, record_run
from fastnn._core.weights cimport StepConstants
from fastnn._core.workspace cimport Workspace, numbers_in

# Seconds after which `advance` comes back between two steps: for signals and the progress bar; for
# readers of the parameters that wait; and where a number of threads is on trial.
cdef double ADVANCE_SECONDS = 0.1
cdef double READER_SECONDS = 0.001
cdef double TRIAL_SECONDS = 0.001
# Where others train with it, who save after the same steps: a copy takes about as long as an update.
cdef uint64_t STEPS_BETWEEN_SAVES = 64

# The same where updates are deferred: the end of a run takes some 20 ms then.
cdef double DEFERRED_SECONDS = 0.2
cdef double DEFERRED_READER_SECONDS = 0.05
# Updates are deferred where a mini-batch has at most this share of entries for each row of weights.
cdef double DEFERRED_SHARE = 0.5
# And so many steps can be put off, at least.
cdef size_t FEWEST_DEFERRED_STEPS = 4

cdef double ONE = 1  # what the learning rate is multiplied by where no rules say otherwise


def loss_and_gradients(Plan plan, parameters, running, X, targets, gradient, int n_threads,
                       uint64_t n_updates, Rules rules=None, weights=None, subset=None):
    """The mean loss over all samples, and the rules' penalties; its gradient goes into `gradient`.

    Parameters
    ----------
    plan : Plan
    parameters, gradient : ndarray of shape (n_parameters,), of the plan's dtype
    running : ndarray of shape (n_running,), of the plan's dtype
        Stays as it is.
    X : ndarray of shape (n_samples, n_features), of a dtype that `find_input` knows
    targets : ndarray of shape (n_samples,), int32 labels, or (n_samples, n_outputs), plan's dtype
    n_threads : int
    n_updates : int
        Steps so far: the random numbers are those of the next one.
    rules : Rules, optional
    weights : ndarray of shape (n_samples,), of the plan's dtype, optional
    subset : ndarray of int64, optional
        As for `Workspace`.

    Returns
    -------
    float
    """
    cdef Workspace workspace = Workspace(plan, parameters, running, X, targets,
                                         len(X if subset is None else subset), 1, False, n_threads,
                                         gradient, rules=rules, weights=weights, subset=subset)
    workspace.own_progress.n_updates = n_updates
    workspace.execute(only_gradient=True)
    return float(workspace.losses[0])


cdef class Trainer(Workspace):
    """Training of one network, in portions of about a tenth of a second.

    Parameters
    ----------
    plan, parameters, running, X, targets, batch_size, n_epochs, n_threads, weights, smoothing, subset
        As for `Workspace`; `n_threads` is the most that are used, fewer where they are faster.
    optimizer : str
    hyperparameters : dict of str to float
        All but the learning rate.
    learning_rate : float
        Of all steps, unless `set_rates` is called.
    slots : ndarray of shape (n_slots, n_parameters), of the plan's dtype
        Each row C-contiguous.
    n_updates : int
        Steps that `slots` have seen.
    bit_generator : numpy.random.BitGenerator, optional
        Shuffles the samples; None keeps them in order.
    gradient_hook : callable, optional
        ``gradient_hook(layer, gradient)``: is called between the backward pass and the update, for
        each layer, the last one first. `gradient` is a view of that layer's weights and bias in the
        gradient of the mini-batch's mean loss, and what the hook writes into it is what the update
        goes by. The whole gradient is stored then, and the state copied at every step. Penalties and
        clipping come afterwards.
    rules : Rules, optional
        What holds beside the loss.
    average : (ndarray of shape (n_parameters,), ndarray of shape (n_running,)), optional
        Moving averages of parameters and running statistics: every step moves them.
    ema : float
        What of them is kept at a step: less at first, ``(1 + t) / (10 + t)`` after t steps.
    n_averaged : int
        Steps that they have seen.
    exchange : Exchange, optional
        With others who train the same network at the same time, with other samples. Copies to go
        back to are made after the same steps in all of them.
    counts_hits : bool
        Whether right predictions are counted, of a classifier: for `accuracies`.

    Attributes
    ----------
    losses, rates : ndarray of shape (n_epochs,), float64
        The mean loss of each finished epoch, and the learning rate of its last step.
    data : (X, targets, weights)
        As they were given; with blocks those of this one.
    failed_rows : ndarray of int64, slice or None
        Which samples the mini-batch had that was not finite, where there was one.
    """

    converged = False  # it goes on for as long as it is told to

    cdef TrainingState state
    cdef Tuner tuner
    cdef int most_threads
    cdef readonly object rates
    cdef object window  # the learning rates that `run` points to, or None
    cdef readonly uint64_t window_end  # the first step whose learning rate is not known yet
    cdef readonly tuple data
    cdef size_t capacity  # samples that a block can have
    cdef object rows  # of the last `next_subset`, kept alive
    cdef readonly object failed_rows

    def __init__(self, Plan plan, parameters, running, X, targets, batch_size, n_epochs,
                 int n_threads, *, str optimizer, hyperparameters, slots, uint64_t n_updates,
                 bit_generator, double learning_rate, gradient_hook=None, Rules rules=None,
                 weights=None, smoothing=None, bint counts_hits=False, average=None,
                 double ema=0, uint64_t n_averaged=0, subset=None, Exchange exchange=None):
        super().__init__(plan, parameters, running, X, targets, batch_size, n_epochs,
                         bit_generator is not None, n_threads, None,
                         gradient_hook is not None or exchange is not None, rules, weights,
                         smoothing, subset, exchange)
        cdef Run *run = &self.run
        self.data = (X, targets, weights)
        self.capacity = len(X if subset is None else subset)
        self.most_threads = n_threads
        if counts_hits:
            self.count_hits()
        self.hold_optimizer(optimizer, hyperparameters, slots)
        self.hold_rates(rules)
        run.learning_rate = learning_rate
        run.is_last_block = True
        self.window_end = <uint64_t> -1
        self.rates = np.empty(n_epochs)
        run.epoch_rates = <double *> self.hold_writable(self.rates, self.rates.dtype, (n_epochs,))
        if bit_generator is not None:
            run.bitgen = <bitgen_t *> PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
        blocks = (parameters, running, slots) + self.hold_average(average, ema)
        run.first_averaged = n_updates - n_averaged
        copies = tuple([self.array(array.shape, array.dtype) for array in blocks])
        saved_order = None
        if bit_generator is not None:
            saved_order = self.array(self.order.shape, self.order.dtype)
        self.state = TrainingState(blocks, n_updates,
                                   None if bit_generator is None else self.order, bit_generator,
                                   copies, saved_order)
        run.progress = &self.state.progress
        run.has_gradient_hook = gradient_hook is not None
        self.defer_updates(subset)
        self.user_code = UserCode(self.state, gradient_hook, self.layer_gradients())

    cdef int hold_optimizer(self, str optimizer, hyperparameters, slots) except -1:
        cdef Run *run = &self.run
        cdef size_t n_parameters = self.plan.geometry.n_parameters, i
        cdef size_t n_bytes = n_parameters * self.plan.geometry.itemsize
        run.update.optimizer = find_optimizer(self.plan.geometry.kernels, optimizer)
        run.update.n_slots = run.update.optimizer.n_slots
        run.update.is_far = (1 + run.update.n_slots) * n_bytes > find_caches().l2
        for i in range(run.update.n_slots):
            run.update.slots[i] = self.hold_writable(slots[i], self.plan.dtype, (n_parameters,))
        fill_hyperparameters(run.update.optimizer, run.hyperparameters, hyperparameters)
        return 0

    cdef int hold_rates(self, Rules rules) except -1:
        """The learning rates of the layers, and room for the constants of each."""
        cdef Run *run = &self.run
        run.update.n_rates = 1
        run.update.rate_factors = &ONE
        if rules is not None:
            run.update.n_rates = rules.n_rates
            run.update.rate_factors = rules.rate_factors
            run.update.weight_decay = rules.weight_decay
        run.constants_bytes = (run.update.n_rates * sizeof(StepConstants) + 63) // 64 * 64
        run.constants = self.scratch(self.most_threads, run.constants_bytes)
        return 0

    cdef tuple hold_average(self, average, double ema):
        """Its arrays, where there is one."""
        cdef Run *run = &self.run
        if average is None:
            return ()
        parameters, running = average
        run.ema = ema
        run.average = self.hold_writable(parameters, self.plan.dtype,
                                         (self.plan.geometry.n_parameters,))
        run.average_running = self.hold_writable(running, self.plan.dtype,
                                                 (self.plan.geometry.n_running,))
        return parameters, running

    cdef int defer_updates(self, subset) except -1:
        """Of the first layer's weights, where a mini-batch of sparse samples touches few of them, and
        nothing looks at all of them at each step: nor a signal handler in the middle of one."""
        cdef Run *run = &self.run
        cdef const Geometry *g = run.net.geometry
        cdef const LayerRules *rules = NULL
        cdef double entries_a_step = (<double> numbers_in(self.data[0], subset) * run.n_slab_rows
                                      / run.net.batch.n_samples)
        cdef size_t n_steps = steps_of_period(g, &run.update, entries_a_step)
        if run.regularization != NULL:
            rules = &run.regularization.layers[0]
        if (not g.layers[0].operations.reads_sparse or run.gradient_mode != FUSED
                or run.average != NULL or not run.update.is_far or run.signals.in_tiles
                or n_steps < FEWEST_DEFERRED_STEPS
                or entries_a_step > DEFERRED_SHARE * g.n_features):
            return 0
        if rules != NULL and (not rules.trainable or rules.l1 > 0 or rules.l2 > 0
                              or rules.max_norm > 0 or run.update.weight_decay > 0
                              or run.regularization.clip_value > 0):
            return 0
        run.deferred = <Deferred *> self.scratch(1, sizeof(Deferred))
        run.deferred.n_seen = <uint32_t *> self.scratch(g.n_features, sizeof(uint32_t))
        run.deferred.touched = <uint32_t *> self.scratch(g.n_features, sizeof(uint32_t))
        run.deferred.n_touched = <uint32_t *> self.scratch(g.layers[0].n_tiles_down,
                                                           sizeof(uint32_t))
        run.deferred.constants = <double *> self.scratch(
            n_steps * <size_t> FNN_MAX_CONSTANTS, sizeof(double))
        run.deferred.at_once = <double *> self.scratch(
            n_steps * <size_t> FNN_MAX_CONSTANTS, sizeof(double))
        run.deferred.is_at_once = False
        run.deferred.n_steps = n_steps
        run.deferred.rate = 0 if rules == NULL else rules.rate
        self.cut_stages(True)
        return 0

    cdef list layer_gradients(self):
        """Views of the stored gradient, layer by layer."""
        cdef size_t i, end
        cdef list views = []
        if self.gradient is None:
            return views
        for i in range(self.plan.geometry.n_layers):
            end = self.plan.geometry.layers[i].bias + self.plan.geometry.layers[i].n_bias
            views.append(self.gradient[self.plan.geometry.layers[i].weights:end])
        return views

    @property
    def epoch(self):
        """Finished epochs."""
        return self.state.progress.epoch

    @property
    def n_updates(self):
        """Finished steps, those before this trainer included."""
        return self.state.progress.n_updates

    @property
    def samples_seen(self):
        """Samples of this epoch in finished mini-batches."""
        cdef Progress *progress = &self.state.progress
        if progress.is_block_done and progress.start == 0:  # and the epoch with it
            return 0
        return self.run.net.batch.n_before + progress.start

    @property
    def is_block_done(self):
        """Whether `advance` needs the `next_block` to go on."""
        return bool(self.state.progress.is_block_done)

    @property
    def epoch_sums(self):
        """Of this epoch so far: the weighted sums of loss and right predictions, and the weights of
        finished blocks."""
        cdef Progress *progress = &self.state.progress
        return progress.epoch_loss, progress.epoch_hits, progress.epoch_weight

    def next_block(self, X, targets, weights, size_t n_before, bint is_last, epoch_sums=None):
        """Goes on with other samples: an epoch has several blocks of them, one after the other.

        `advance` comes back at the end of a block. The samples are shuffled within their block.

        Parameters
        ----------
        X, targets, weights : ndarray, SparseRows or None
            As the trainer was made with, of at most as many samples. Not copied.
        n_before : int
            Samples of the epoch in the blocks before.
        is_last : bool
            Whether the epoch ends with this block.
        epoch_sums : (float, float, float), optional
            As the attribute: of a training that goes on in the middle of an epoch.

        Raises
        ------
        ValueError
            If the arrays are not as above, or the trainer was made with a subset. Nothing has changed
            then.
        """
        cdef Run *run = &self.run
        cdef Batch *batch = &run.net.batch
        cdef const Geometry *g = run.net.geometry
        cdef size_t n = X.shape[0]
        cdef bint is_sparse = g.layers[0].operations.reads_sparse
        cdef const char *data = NULL
        if not is_sparse:
            data = data_of(X, self.data[0].dtype, (n, g.n_features))
        elif isinstance(X, np.ndarray) or X.shape[1] != g.n_features:
            raise ValueError(f"a block must have sparse rows of {g.n_features} columns, as before")
        cdef const char *of_targets = data_of(targets, self.data[1].dtype,
                                              (n, *self.data[1].shape[1:]))
        cdef const char *of_weights = NULL
        if (not 0 < n <= self.capacity or (weights is None) != (batch.weights == NULL)
                or run.subset != NULL):
            raise ValueError(f"a block must have 1 to {self.capacity} samples, as before, got {n}")
        if batch.has_labels:
            check_labels(g, <const int32_t *> of_targets, n)
        if weights is not None:
            of_weights = data_of(weights, self.plan.dtype, (n,))
        if is_sparse:
            self.hold_sparse_block(X)
        self.data = (X, targets, weights)  # kept alive
        batch.X, batch.targets, batch.weights = data, of_targets, of_weights
        self.begin_block(n, weights, n_before, is_last, epoch_sums)

    def next_subset(self, subset, size_t n_before, bint is_last, epoch_sums=None):
        """The same, for a trainer that was made with a subset: other rows of the same arrays.

        Parameters
        ----------
        subset : ndarray of int64
            The rows that are the samples, at most as many as before; copied.
        n_before, is_last, epoch_sums
            As for `next_block`.

        Raises
        ------
        ValueError
            If they are not rows of X, or too many. Nothing has changed then.
        """
        cdef Run *run = &self.run
        cdef size_t n_rows = len(self.data[0])
        rows = np.array(subset, np.int64)  # memory that nobody else writes to
        if run.subset == NULL or rows.ndim != 1 or not 0 < <size_t> rows.size <= self.capacity:
            raise ValueError(f"a subset must have 1 to {self.capacity} rows, as before, got "
                             f"{rows.size}")
        if rows.min() < 0 or rows.max() >= n_rows:
            raise ValueError(f"a subset must have rows in [0, {n_rows})")
        weights = self.data[2]
        self.rows = rows
        run.subset = <const int64_t *> data_of(rows, rows.dtype, (rows.size,))
        if run.bitgen == NULL:
            self.order = rows
            run.net.batch.order = <int64_t *> run.subset
        self.begin_block(rows.size, None if weights is None else weights[rows], n_before, is_last,
                         epoch_sums)

    cdef int begin_block(self, size_t n, weights, size_t n_before, bint is_last,
                         epoch_sums) except -1:
        """Of `n` samples that the batch points to; `weights` are theirs."""
        cdef Run *run = &self.run
        cdef Batch *batch = &run.net.batch
        cdef Progress *progress = &self.state.progress
        batch.n_samples, batch.n_before = n, n_before
        batch.total_weight = n if weights is None else weights.sum(dtype=np.float64)
        run.has_blocks, run.is_last_block = True, is_last
        progress.start, progress.is_block_done = 0, False
        if epoch_sums is not None:
            progress.epoch_loss, progress.epoch_hits, progress.epoch_weight = epoch_sums
        self.state.save()  # no step of the block before is to be repeated any more
        return 0

    def set_rates(self, rates):
        """Gives the next steps learning rates of their own; `advance` comes back after the last one.

        Parameters
        ----------
        rates : ndarray of shape (n_steps,), float64
            Of the step after `n_updates` others and those that follow. Not copied.
        """
        cdef Run *run = &self.run
        cdef const double *data = <const double *> data_of(rates, self.rates.dtype, (len(rates),))
        self.state.save()  # no step before these is to be repeated any more
        self.window = rates
        run.rates = data
        run.first_rate = self.state.progress.n_updates
        self.window_end = run.first_rate + <uint64_t> len(rates)

    def advance(self, size_t until_epoch, Access access=None, views=None):
        """Trains until `until_epoch` epochs are finished, the rates end, or about a tenth of a second.

        Parameters
        ----------
        until_epoch : int
        access : Access, optional
            Whose readers are not kept waiting: a millisecond, or a step where that is longer.
        views : object, optional
            Its attribute `has_views` says whether a user has views of the parameters, and may have
            written to them.

        Raises
        ------
        FloatingPointError
            When a loss or an update is not finite. The parameters are those from before that
            mini-batch.
        KeyboardInterrupt
            Or whatever a signal handler raised: after a finished mini-batch.
        """
        cdef Run *run = &self.run
        cdef Progress *progress = &self.state.progress
        cdef uint64_t n_updates = progress.n_updates
        cdef double start
        cdef int status
        run.until_epoch = min(until_epoch, <size_t> len(self.losses))
        run.updates_allowed = self.window_end
        if access is not None:
            run.n_waiting_readers = &access.n_waiting_readers
        if self.exchange is None:  # else what is written to them must be so by all
            self.user_code.views = views
        as_left = self.state.is_as_left(self.user_code.is_watched())
        if self.exchange is None:
            self.state.save_if_due(as_left)
        else:
            run.updates_allowed = min(run.updates_allowed, self.save_with_others())
        run.has_shadows = run.has_shadows and as_left
        if progress.n_updates >= self.window_end and progress.epoch < run.until_epoch:
            raise ValueError(f"rates must reach step {progress.n_updates + 1}")
        start = now()
        self.n_threads = choose_threads(&self.tuner, self.most_threads, 1, start)
        run.deadline = start + (ADVANCE_SECONDS if self.tuner.trial < 0 else TRIAL_SECONDS)
        run.reader_deadline = start + READER_SECONDS
        if run.deferred != NULL:
            run.deadline = start + DEFERRED_SECONDS
            run.reader_deadline = start + DEFERRED_READER_SECONDS
        if access is not None:
            access.half_written = True
        try:
            status = self.execute(only_gradient=False)
            if status & (UPDATE_NOT_FINITE | LOSS_NOT_FINITE):
                self.failed_rows = self.next_rows()
            if status & UPDATE_NOT_FINITE:
                self.replay()
            if status & (UPDATE_NOT_FINITE | LOSS_NOT_FINITE) and self.exchange is not None:
                self.exchange.steps_left = 0  # all have failed
        finally:
            if access is not None:
                access.half_written = False
        record_run(&self.tuner, progress.n_updates - n_updates, now() - start, now())
        if status & (UPDATE_NOT_FINITE | LOSS_NOT_FINITE):
            raise FloatingPointError(self.describe_failure(status))
        run.has_shadows = True
        self.state.note_checksum(self.user_code.is_watched())

    cdef uint64_t save_with_others(self) except 0:
        """Saves where all do; the step before which they do it next."""
        cdef const Progress *progress = &self.state.progress
        cdef uint64_t last = self.state.saved_progress.n_updates
        if (self.state.next_save == 0 or progress.n_updates >= last + STEPS_BETWEEN_SAVES
                or progress.step == 0 and self.order is not None):  # others set the random state
            self.state.save()
        return self.state.saved_progress.n_updates + STEPS_BETWEEN_SAVES

    def note_change(self):
        """To be called where the parameters are not those that the last step left, in all alike."""
        self.run.has_shadows = False
        self.state.save()

    cdef object next_rows(self):
        """The samples of the mini-batch after the last one that was good, in the present order."""
        cdef size_t start = self.state.progress.start
        cdef size_t end = min(start + self.run.batch_size, self.run.net.batch.n_samples)
        if self.exchange is not None:
            end = self.run.others.firsts[self.state.progress.step + 1]
        if self.order is None:
            return slice(start, end)
        try:
            return self.order[start:end].copy()
        except MemoryError:  # there is something more important to be done
            return None

    cdef int replay(self) except -1:
        """Goes back to the saved state and repeats every step but the one that failed.

        Where a user has changed the data meanwhile a step may fail now that was good then: the saved
        state stays.
        """
        cdef uint64_t n_good = self.state.progress.n_updates
        cdef double bad_loss = self.run.bad_loss
        self.state.restore()
        self.run.has_shadows = False
        if n_good == self.state.progress.n_updates:
            return 0
        self.run.updates_allowed = n_good
        self.run.deadline = now() + 1e9
        self.run.reader_deadline = self.run.deadline
        if self.execute(only_gradient=False) & (UPDATE_NOT_FINITE | LOSS_NOT_FINITE):
            self.state.restore()
        self.run.bad_loss = bad_loss
        return 0

    cdef str describe_failure(self, int status):
        """What failed, at which step of this trainer, and the remedy."""
        cdef Progress *progress = &self.state.progress
        cdef size_t n_before = self.samples_seen // self.run.batch_size
        if self.exchange is not None:
            n_before = progress.step
        what = "an update gave parameters that are not finite"
        if status & LOSS_NOT_FINITE:
            what = f"the loss is {self.run.bad_loss}"
        remedy = "A smaller learning_rate or scaled inputs usually help."
        if status & LOSS_NOT_FINITE and progress.epoch == 0 and n_before == 0:
            remedy = ("This is before the first update: X, y or the parameters are too large. Scale "
                      "X and y, or begin with a new network.")
        return (
            f"{what} at epoch {progress.epoch + 1}, mini-batch "
            f"{n_before + 1} (step {progress.n_updates + 1}); the "
            f"network keeps the parameters from before this step. {remedy}"
        )
