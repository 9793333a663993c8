/* The wall clock in milliseconds, from the kernel's last tick where there is such a clock: a quarter of the cost of an
   exact one, and as good for a record's timestamp. */
#ifndef FELICE_COARSE_CLOCK_H
#define FELICE_COARSE_CLOCK_H
#include <stdint.h>
#include <time.h>

static inline int64_t felice_now_ms(void) {
    struct timespec now;
#ifdef CLOCK_REALTIME_COARSE
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
#else
    clock_gettime(CLOCK_REALTIME, &now);
#endif
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
#endif
