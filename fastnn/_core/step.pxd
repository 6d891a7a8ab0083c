from libc.stdint cimport int64_t, uint64_t
from cpython.ref cimport PyObject

from fastnn._core.buckets cimport Bucket
from fastnn._core.deferred cimport Deferred
from fastnn._core.geometry cimport Pass, Stage
from fastnn._core.kernels cimport FNN_MAX_HYPERPARAMETERS, fnn_team
from fastnn._core.regularization cimport Regularization
from fastnn._core.signals cimport Signals
from fastnn._core.state cimport Progress, bitgen_t
from fastnn._core.weights cimport Update

# What becomes of the gradient of a mini-batch: see `Workspace.choose_gradient_mode`.
cdef enum GradientMode:
    FUSED  # each tile's goes into the update at once
    FUSED_AT_ONCE  # the same for all tiles of a small network together
    STORED  # in a block like the parameters, before the update

# Over the samples of a mini-batch.
cdef struct Sums:
    double loss
    double hits  # right predictions

# The samples of a step.
cdef struct MiniBatch:
    size_t start  # the first one's place, in the order of the epoch
    size_t n
    size_t n_all  # with those that others have
    double weight  # of all of them
    uint64_t noise_shift  # see Rows
    bint gathered  # they have been, in an earlier step

# Training together with others, who hold other samples.
cdef struct Others:
    PyObject *exchange  # an Exchange that outlives the run; NULL: there are none
    const uint64_t *firsts  # of the exchange, as the next three
    const uint64_t *noise_shifts
    double *weights
    size_t n_steps  # of an epoch
    size_t batch_size
    size_t n_samples
    bint has_weights
    size_t n_buckets
    Bucket *buckets
    Sums sums  # of a step, of all

# All that the members of the team share. Only member 0 writes to it between the phases.
cdef struct Run:
    Pass net
    Stage *stages
    size_t n_stages
    size_t n_slab_rows  # samples whose activations are held at a time
    double *block_losses
    double *block_hits  # NULL where they are not counted
    char *scratch  # of the products; scratch_bytes for each member
    size_t scratch_bytes
    # the gradient
    GradientMode gradient_mode
    char *gradient  # STORED: of all parameters
    char *tile_gradients  # FUSED: tile_gradient_bytes for each member
    size_t tile_gradient_bytes
    bint has_gradient_hook
    Others others
    bint has_shadows  # the layers' copies of the weights are those of the parameters
    bint gathers_once  # the batch is all samples, in the order given
    const Regularization *regularization  # NULL: none
    # the update
    Update update
    Deferred *deferred  # of the first layer's weights, NULL: none is
    double hyperparameters[FNN_MAX_HYPERPARAMETERS]
    char *constants  # of a step, (update.n_rates,) StepConstants; constants_bytes for each member
    size_t constants_bytes
    double learning_rate  # of every step, where `rates` is NULL
    const double *rates  # of the steps from `first_rate` on
    uint64_t first_rate
    # a moving average of parameters and running statistics; NULL: none
    char *average
    char *average_running
    double ema
    uint64_t first_averaged  # steps before the first that it has seen
    # where training is, and until when this run goes
    Progress *progress
    size_t batch_size
    size_t until_epoch
    bint has_blocks  # the samples come block by block
    bint is_last_block  # of the epoch
    uint64_t updates_allowed
    double *epoch_losses  # (n_epochs,)
    double *epoch_rates  # (n_epochs,) of the last step of each
    double *epoch_accuracies  # the same
    bitgen_t *bitgen
    const int64_t *subset  # what is shuffled: the rows that are the samples; NULL: all
    # when to come back
    double deadline
    double reader_deadline  # the same while a reader waits
    const int *n_waiting_readers
    uint64_t clock_interval  # steps between two looks at the clock
    Signals signals
    # how the run ends
    int status
    double bad_loss

cdef void train(void *context, fnn_team *team, int member) noexcept nogil
cdef void measure_gradient(void *context, fnn_team *team, int member) noexcept nogil
