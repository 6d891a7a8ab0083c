"""How many threads are fastest, by measurement while the work is done.

All threads are not always faster: barriers cost microseconds, and where another process keeps a core
busy, everybody waits for a member that does not run. So each number of threads is tried, and the
slower ones are tried again every quarter of a second, as other processes come and go. Results do
not depend on it. Training calls a portion of steps a run, inference a call.
"""

# A trial is a few runs, of which the last one counts: at first threads have to start and caches to
# fill. A number judged by its first run was taken for slow, and for good.
cdef int RUNS_IN_A_TRIAL = 2
cdef double TRIAL_INTERVAL_SECONDS = 0.25
# Work that takes longer than this goes to all threads without a trial: barriers do not matter.
cdef double LONG_SECONDS = 0.02


cdef int best_of(const Tuner *tuner) noexcept:
    cdef int best = 0, i
    for i in range(1, tuner.n_candidates):
        if tuner.seconds[i] < tuner.seconds[best]:
            best = i
    return best


cdef int next_to_try(const Tuner *tuner) noexcept:
    """The first that is not known; else the one after the last that was tried."""
    cdef int i
    for i in range(tuner.n_candidates):
        if tuner.seconds[i] == 0:
            return i
    return (tuner.last_trial + 1) % tuner.n_candidates


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
        tuner.trial_runs = RUNS_IN_A_TRIAL
        tuner.last_trial = tuner.trial
        tuner.current = tuner.trial
    return tuner.threads[tuner.current]


cdef void record_run(Tuner *tuner, double work, double seconds, double time) noexcept:
    """What the run took; of a trial the last run counts, else each as much as all before."""
    cdef double *known = &tuner.seconds[tuner.current]
    if work == 0 or tuner.n_candidates == 1:
        return
    seconds /= work
    if tuner.trial < 0:
        known[0] = (known[0] + seconds) / 2 if known[0] > 0 else seconds
        return
    tuner.trial_runs -= 1
    if tuner.trial_runs == 0 or seconds > LONG_SECONDS:
        known[0] = seconds
        tuner.trial = -1
        # those not known are tried at once
        tuner.try_again = 0
        if tuner.seconds[next_to_try(tuner)] > 0:
            tuner.try_again = time + TRIAL_INTERVAL_SECONDS
