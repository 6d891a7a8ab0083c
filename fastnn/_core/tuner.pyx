"""How many threads are fastest, by measurement while the work is done.

All threads are not always faster: barriers cost microseconds, and where another process keeps a core
busy, everybody waits for a member that does not run. So each number of threads is tried, and the
slower ones are tried again a few times a second, as other processes come and go. Results do not
depend on it. Training calls a portion of steps a run, inference a call.
"""

from libc.string cimport memset

# A trial is a run for threads to wake up and caches to fill, and then some more, of which the best one
# counts: at least so many runs, and so long. A number judged by its first runs was taken for slow, until
# the next trial.
cdef int RUNS_IN_A_TRIAL = 3
cdef double SECONDS_IN_A_TRIAL = 0.002
# Later runs count as much as all before if they take that long, else less; and twice what was known
# at most: a thread that another process keeps from running for a while says little.
cdef double WEIGHTY_SECONDS = 0.002
cdef double LEAST_WEIGHT = 0.0625
cdef double TRIAL_INTERVAL_SECONDS = 0.25
cdef double TRIAL_SHARE = 0.01  # of the time, at most
# Work that takes longer than this goes to all threads without a trial: barriers do not matter.
cdef double LONG_SECONDS = 0.02


cdef int best_of(const Tuner *tuner) noexcept:
    cdef int best = 0, i
    for i in range(1, tuner.n_candidates):
        if tuner.seconds[i] < tuner.seconds[best]:
            best = i
    return best


cdef int next_to_try(const Tuner *tuner) noexcept:
    """The first that is not known; else the one after the last that was tried, but not the best: that
    is measured all the time."""
    cdef int i
    for i in range(tuner.n_candidates):
        if tuner.seconds[i] == 0:
            return i
    i = (tuner.last_trial + 1) % tuner.n_candidates
    return i if i != best_of(tuner) else (i + 1) % tuner.n_candidates


cdef int choose_threads(Tuner *tuner, int at_most, double work, double time) noexcept:
    """The number of threads for a run, of which `work` has to be waited for.

    `at_most`: the most there are; another number than last time begins again.
    """
    cdef int i
    if tuner.n_candidates == 0 or tuner.threads[0] != at_most:
        tuner.n_candidates = 0
        tuner.try_again = 0
        tuner.trial = -1
        tuner.last_trial = -1
        while at_most >= 1:
            tuner.threads[tuner.n_candidates] = at_most
            tuner.seconds[tuner.n_candidates] = 0
            tuner.n_candidates += 1
            at_most //= 2
    if tuner.n_candidates == 1 or work * tuner.seconds[0] > LONG_SECONDS:
        tuner.trial = -1
        tuner.current = 0
    elif tuner.trial >= 0:
        tuner.current = tuner.trial
    elif time < tuner.try_again:
        tuner.current = best_of(tuner)
    else:
        tuner.trial = next_to_try(tuner)
        tuner.trial_runs = 0
        tuner.trial_seconds = 0
        tuner.last_trial = tuner.trial
        tuner.current = tuner.trial
    return tuner.threads[tuner.current]


cdef void record_run(Tuner *tuner, double work, double seconds, double time) noexcept:
    """What the run took: it counts in a trial if it is the best one, else by its length."""
    cdef double *known = &tuner.seconds[tuner.current]
    cdef double weight, a_unit = seconds / work if work > 0 else 0
    if work == 0 or tuner.n_candidates == 1:
        return
    if tuner.trial < 0:
        if known[0] == 0:
            known[0] = a_unit
        weight = min(0.5, max(LEAST_WEIGHT, known[0] * work / WEIGHTY_SECONDS))
        known[0] += weight * (min(a_unit, 2 * known[0]) - known[0])
        return
    if tuner.trial_runs <= 1 or a_unit < tuner.trial_best:
        tuner.trial_best = a_unit
    tuner.trial_runs += 1
    tuner.trial_seconds += seconds
    if (tuner.trial_runs >= RUNS_IN_A_TRIAL and tuner.trial_seconds >= SECONDS_IN_A_TRIAL
            or seconds > LONG_SECONDS):
        known[0] = tuner.trial_best
        tuner.trial = -1
        # those not known are tried at once
        tuner.try_again = 0
        if tuner.seconds[next_to_try(tuner)] > 0:
            tuner.try_again = time + max(TRIAL_INTERVAL_SECONDS, tuner.trial_seconds / TRIAL_SHARE)


def replay(int at_most, seconds, int n_runs):
    """The numbers of threads that runs of the same work would get: for tests.

    Parameters
    ----------
    at_most : int
    seconds : callable
        What run `i` takes on so many threads: ``seconds(i, n_threads)``.
    n_runs : int

    Returns
    -------
    list of int
    """
    cdef Tuner tuner
    cdef double time = 0
    cdef int i, n_threads
    memset(&tuner, 0, sizeof(tuner))
    chosen = []
    for i in range(n_runs):
        n_threads = choose_threads(&tuner, at_most, 1, time)
        chosen.append(n_threads)
        taken = seconds(i, n_threads)
        time += taken
        record_run(&tuner, 1, taken, time)
    return chosen
