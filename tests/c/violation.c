/* Does what each sanitizer must catch; that it is caught shows that the sanitizers are in the other binaries' flags. */
#include <tidegate.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    const char *kind = argc > 1 ? argv[1] : "";
    if (!strcmp(kind, "use-after-free")) {
        /* Through the library's own allocation: the sanitizer sees inside it, too. */
        tg_clock *clock = NULL;
        volatile char first;
        if (tg_clock_manual_new(0, &clock) != TG_OK) return 0;
        tg_clock_free(clock);
        first = *(volatile char *)clock;
        (void)first;
    } else if (!strcmp(kind, "overflow")) {
        volatile char *bytes = malloc((size_t)argc + 2);
        bytes[argc + 2] = 1; /* one behind */
        free((void *)bytes);
    } else if (!strcmp(kind, "undefined")) {
        volatile int big = INT32_MAX;
        big = big + argc;
    } else if (!strcmp(kind, "leak")) {
        tg_clock *clock = NULL;
        if (tg_clock_manual_new(0, &clock) != TG_OK) return 0;
        clock = NULL;
        (void)clock;
    }
    return 0;
}
