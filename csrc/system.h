/* What depends on the operating system: no other C or Cython file names one. POSIX (Linux with any C
 * library, macOS) and Windows. All of it is inline: the kernels and the core include it alike, C files
 * before any other header.
 *
 *   - fnn_now: seconds since some moment, by a clock that only goes forward.
 *   - fnn_sleep: at least some microseconds; on Windows up to a tick of its clock (16 ms).
 *   - fnn_yield: another thread may run. fnn_pause: for a loop that waits, without leaving the CPU.
 *   - fnn_lock, fnn_try_lock (nonzero if it is taken now), fnn_unlock; fnn_wait, which may also
 *     return for no reason, and fnn_wake_all.
 *   - fnn_start_thread: a thread that nobody joins and that handles no signals; 0 if it was started.
 *   - fnn_at_fork: what a forked child runs first; 0 if it will. Where there is no fork it never does.
 *   - fnn_process: the number of this process.
 *   - fnn_system_cache: the data or unified cache of a level (from 1 on) in bytes; 0: nobody says. */
#ifndef FASTNN_SYSTEM_H
#define FASTNN_SYSTEM_H

#include <stddef.h>

#if defined(_WIN32)

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>
#include <process.h>

static inline double fnn_now(void)
{
    LARGE_INTEGER ticks, ticks_a_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&ticks_a_second);
    return (double)ticks.QuadPart / (double)ticks_a_second.QuadPart;
}

static inline void fnn_sleep(unsigned microseconds) { Sleep((microseconds + 999) / 1000); }
static inline void fnn_yield(void) { SwitchToThread(); }

typedef SRWLOCK fnn_mutex;
typedef CONDITION_VARIABLE fnn_condition;
#define FNN_MUTEX_INIT SRWLOCK_INIT
#define FNN_CONDITION_INIT CONDITION_VARIABLE_INIT

static inline void fnn_lock(fnn_mutex *mutex) { AcquireSRWLockExclusive(mutex); }
static inline int fnn_try_lock(fnn_mutex *mutex) { return TryAcquireSRWLockExclusive(mutex); }
static inline void fnn_unlock(fnn_mutex *mutex) { ReleaseSRWLockExclusive(mutex); }
static inline void fnn_wake_all(fnn_condition *condition) { WakeAllConditionVariable(condition); }

static inline void fnn_wait(fnn_condition *condition, fnn_mutex *mutex)
{
    SleepConditionVariableSRW(condition, mutex, INFINITE, 0);
}

#define FNN_THREAD unsigned __stdcall /* what the function of a thread returns: 0 */

static inline int fnn_start_thread(unsigned(__stdcall *function)(void *), void *argument,
                                   unsigned stack_bytes)
{
    const uintptr_t thread = _beginthreadex(NULL, stack_bytes, function, argument,
                                            STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (thread == 0)
        return -1;
    CloseHandle((HANDLE)thread);
    return 0;
}

static inline int fnn_at_fork(void (*in_child)(void))
{
    (void)in_child;
    return 0;
}

static inline int fnn_process(void) { return (int)GetCurrentProcessId(); }

static inline size_t fnn_system_cache(unsigned level)
{
    (void)level; /* the CPU says */
    return 0;
}

#else /* POSIX */

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#if defined(__APPLE__) && !defined(_DARWIN_C_SOURCE)
#define _DARWIN_C_SOURCE 1
#endif
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/types.h>
#include <sys/sysctl.h>
#endif

static inline double fnn_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void fnn_sleep(unsigned microseconds)
{
    const struct timespec duration = {0, 1000L * (long)microseconds};
    nanosleep(&duration, NULL);
}

static inline void fnn_yield(void) { sched_yield(); }

typedef pthread_mutex_t fnn_mutex;
typedef pthread_cond_t fnn_condition;
#define FNN_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#define FNN_CONDITION_INIT PTHREAD_COND_INITIALIZER

static inline void fnn_lock(fnn_mutex *mutex) { pthread_mutex_lock(mutex); }
static inline int fnn_try_lock(fnn_mutex *mutex) { return pthread_mutex_trylock(mutex) == 0; }
static inline void fnn_unlock(fnn_mutex *mutex) { pthread_mutex_unlock(mutex); }
static inline void fnn_wake_all(fnn_condition *condition) { pthread_cond_broadcast(condition); }

static inline void fnn_wait(fnn_condition *condition, fnn_mutex *mutex)
{
    pthread_cond_wait(condition, mutex);
}

#define FNN_THREAD void * /* what the function of a thread returns: 0 */

static inline int fnn_start_thread(void *(*function)(void *), void *argument, unsigned stack_bytes)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return -1;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    sigset_t all, before; /* a thread inherits its blocked signals: they go to the caller's threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    const int error = pthread_create(&thread, &attributes, function, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

static inline int fnn_at_fork(void (*in_child)(void))
{
    return pthread_atfork(NULL, NULL, in_child);
}

static inline int fnn_process(void) { return (int)getpid(); }

static inline size_t fnn_system_cache(unsigned level)
{
#if defined(_SC_LEVEL1_DCACHE_SIZE)
    static const int names[] = {
        _SC_LEVEL1_DCACHE_SIZE,
        _SC_LEVEL2_CACHE_SIZE,
        _SC_LEVEL3_CACHE_SIZE,
    };
    const long size = sysconf(names[level - 1]);
    return size > 0 ? (size_t)size : 0;
#elif defined(__APPLE__)
    static const char *const names[] = {"hw.l1dcachesize", "hw.l2cachesize", "hw.l3cachesize"};
    size_t size = 0, length = sizeof size;
    return sysctlbyname(names[level - 1], &size, &length, NULL, 0) == 0 ? size : 0;
#else
    (void)level;
    return 0;
#endif
}

#endif

static inline void fnn_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
