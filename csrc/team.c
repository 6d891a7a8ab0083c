/* The thread team: persistent workers that spin for microseconds and then sleep.
 *
 * There is one set of workers in a process. A caller that finds it in use runs alone, so that
 * concurrent calls never wait for each other. Waiting is for a counter to change: first by
 * spinning, then asleep on a condition variable. A thread that changes the counter looks for
 * sleepers after the change, and a sleeper looks at the counter after it has said that it sleeps; all
 * four accesses are sequentially consistent, so one of the two sees the other. */
#include "system.h"

#include <stdatomic.h>

#include "fastnn.h"

enum {
    MAX_WORKERS = 255,
    SPINS = 2000, /* some 20-50 us of pause instructions: longer than a phase of a small step */
    STACK_BYTES = 2 << 20
};

/* A counter that can be waited for. */
typedef struct signal_counter {
    _Atomic unsigned value;
    _Atomic unsigned sleepers;
    fnn_mutex mutex;
    fnn_condition changed;
} signal_counter;

#define SIGNAL_COUNTER_INIT {0, 0, FNN_MUTEX_INIT, FNN_CONDITION_INIT}

static void wait_while_equal(signal_counter *counter, unsigned value)
{
    for (int spin = 0; spin < SPINS; spin++) {
        if (atomic_load(&counter->value) != value)
            return;
        fnn_pause();
    }
    fnn_lock(&counter->mutex);
    atomic_fetch_add(&counter->sleepers, 1);
    while (atomic_load(&counter->value) == value)
        fnn_wait(&counter->changed, &counter->mutex);
    atomic_fetch_sub(&counter->sleepers, 1);
    fnn_unlock(&counter->mutex);
}

static void advance(signal_counter *counter)
{
    atomic_fetch_add(&counter->value, 1);
    if (atomic_load(&counter->sleepers) != 0) {
        fnn_lock(&counter->mutex);
        fnn_wake_all(&counter->changed);
        fnn_unlock(&counter->mutex);
    }
}

struct fnn_team {
    int n_members;
    int forked; /* this is a child's copy: the team was left behind, but for the caller */
    size_t next_tile; /* of a team of one */
    _Atomic int arrived;
    _Atomic int votes;
    int verdict; /* of the last barrier: it is read before its reader comes to the next one */
    signal_counter barrier;
};

int fnn_team_size(const fnn_team *team) { return team->n_members; }

/* Tiles taken of each member's share since the last barrier, each count in a cache line of its own. */
static struct {
    _Alignas(64) _Atomic size_t taken;
} shares[MAX_WORKERS + 1];

static void forget_shares(int n_members)
{
    for (int member = 0; member < n_members; member++)
        atomic_store_explicit(&shares[member].taken, 0, memory_order_relaxed);
}

size_t fnn_team_next_tile(fnn_team *team, int member, size_t n_tiles)
{
    if (team->n_members == 1) /* no locked instruction, of some 20 cycles */
        return team->next_tile < n_tiles ? team->next_tile++ : n_tiles;
    const size_t n_members = (size_t)team->n_members;
    for (size_t i = 0; i < n_members; i++) {
        const size_t owner = ((size_t)member + i) % n_members;
        const size_t first = owner * n_tiles / n_members, end = (owner + 1) * n_tiles / n_members;
        const size_t tile = first
            + atomic_fetch_add_explicit(&shares[owner].taken, 1, memory_order_relaxed);
        if (tile < end)
            return tile;
    }
    return n_tiles;
}

int fnn_team_barrier(fnn_team *team, int vote)
{
    if (team->n_members == 1) {
        team->next_tile = 0;
        return vote;
    }
    const unsigned round = atomic_load(&team->barrier.value);
    if (vote != 0)
        atomic_fetch_or(&team->votes, vote);
    if (atomic_fetch_add(&team->arrived, 1) == team->n_members - 1) { /* the last one */
        team->verdict = atomic_exchange(&team->votes, 0);
        forget_shares(team->n_members);
        atomic_store(&team->arrived, 0);
        advance(&team->barrier);
    } else {
        wait_while_equal(&team->barrier, round);
    }
    return team->verdict;
}

/* What the workers run now. The caller writes it before `jobs` advances. */
static struct {
    fnn_mutex in_use;
    int n_workers;
    fnn_region region;
    void *context;
    fnn_team *team; /* the caller's */
    _Atomic int running; /* workers not yet done with this job */
    signal_counter jobs; /* advances when a job is there */
    signal_counter done; /* advances when the last worker has finished it */
} shared = {
    .in_use = FNN_MUTEX_INIT,
    .jobs = SIGNAL_COUNTER_INIT,
    .done = SIGNAL_COUNTER_INIT,
};

/* The team that this thread is the caller of, NULL if none. */
static _Thread_local fnn_team *called;

static void run_member(fnn_region region, void *context, fnn_team *team, int member)
{
    const uint64_t state = fnn_flush_denormals();
    region(context, team, member);
    fnn_set_float_state(state);
}

typedef struct worker_start {
    int member;
    unsigned jobs_before; /* the first job of this worker is the one after these */
} worker_start;

static worker_start starts[MAX_WORKERS];

static FNN_THREAD work(void *argument)
{
    const worker_start *start = argument;
    const int member = start->member;
    unsigned job = start->jobs_before;
    for (;; job++) {
        wait_while_equal(&shared.jobs, job);
        if (member < shared.team->n_members)
            run_member(shared.region, shared.context, shared.team, member);
        /* Workers that had nothing to do report too: nobody reads an old job in a new one. */
        if (atomic_fetch_sub(&shared.running, 1) == 1)
            advance(&shared.done);
    }
    return 0;
}

/* A forked child has this thread only: it starts with no workers and nothing in use, whatever the
 * parent's other threads were doing. If it is a caller itself, it goes on alone. */
static void forget_workers(void)
{
    static const fnn_mutex mutex = FNN_MUTEX_INIT;
    static const signal_counter counter = SIGNAL_COUNTER_INIT;
    shared.in_use = mutex;
    shared.n_workers = 0;
    shared.jobs = counter;
    shared.done = counter;
    atomic_store(&shared.running, 0);
    if (called != NULL) {
        called->n_members = 1;
        called->forked = 1;
    }
}

/* Makes workers until there are n_workers, or until no more can be made. */
static void start_workers(int n_workers)
{
    static int registered = 0;
    if (!registered && fnn_at_fork(forget_workers) != 0)
        return; /* without it a fork would not be safe: run alone */
    registered = 1;

    while (shared.n_workers < n_workers) {
        worker_start *start = &starts[shared.n_workers];
        start->member = shared.n_workers + 1;
        start->jobs_before = atomic_load(&shared.jobs.value);
        if (fnn_start_thread(work, start, STACK_BYTES) != 0)
            break;
        shared.n_workers++;
    }
}

void fnn_team_run(fnn_region region, void *context, int n_threads)
{
    if (n_threads <= 1 || !fnn_try_lock(&shared.in_use)) {
        fnn_team alone = {.n_members = 1};
        run_member(region, context, &alone, 0);
        return;
    }
    int n_workers = n_threads - 1 < MAX_WORKERS ? n_threads - 1 : MAX_WORKERS;
    if (shared.n_workers < n_workers)
        start_workers(n_workers);
    if (shared.n_workers < n_workers)
        n_workers = shared.n_workers;

    fnn_team team = {.n_members = n_workers + 1, .barrier = SIGNAL_COUNTER_INIT};
    fnn_team *const outer = called; /* in a child forked inside a region, which calls again */
    called = &team;
    forget_shares(team.n_members); /* a fork may have come between two barriers */
    shared.region = region;
    shared.context = context;
    shared.team = &team;
    n_workers = shared.n_workers; /* all report, also those who are no members */
    atomic_store(&shared.running, n_workers);
    const unsigned finished = atomic_load(&shared.done.value);
    if (n_workers > 0)
        advance(&shared.jobs);
    run_member(region, context, &team, 0);
    called = outer;
    if (team.forked)
        return; /* nothing of what is shared is this call's any more */
    if (n_workers > 0)
        wait_while_equal(&shared.done, finished);
    fnn_unlock(&shared.in_use);
}
