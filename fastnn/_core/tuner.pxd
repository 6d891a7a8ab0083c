# How much work a second goes through with each number of threads.
cdef enum:
    MAX_CANDIDATES = 9  # 256 threads, 128, ..., 1

cdef struct Tuner:
    int n_candidates
    int threads[MAX_CANDIDATES]  # the most first
    double seconds[MAX_CANDIDATES]  # for a unit of work; 0: not known
    int current
    int trial  # candidate on trial, -1: none
    int trial_runs  # so far
    double trial_seconds  # that they took
    double trial_best
    int last_trial
    double try_again  # one of the others, at this time

cdef int choose_threads(Tuner *tuner, int at_most, double work, double time) noexcept
cdef void record_run(Tuner *tuner, double work, double seconds, double time) noexcept
