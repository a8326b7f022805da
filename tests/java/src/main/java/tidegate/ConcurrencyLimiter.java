package tidegate;

import static tidegate.NativeTidegate.LIBRARY;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.IntByReference;
import com.sun.jna.ptr.PointerByReference;
import java.time.Duration;
import java.util.Optional;
import tidegate.Arena.Place;

/**
 * At most so many calls at once; safe for many threads, but close it when none uses it any more. In an arena the permits of a
 * process that dies come back.
 */
public final class ConcurrencyLimiter implements AutoCloseable {
    /** The right to run one call, for try-with-resources; closing it a second time does nothing. */
    public final class Permit implements AutoCloseable {
        private final NativeTidegate.ConcurrencyPermit permit;

        private Permit(NativeTidegate.ConcurrencyPermit permit) {
            this.permit = permit;
        }

        @Override
        public void close() {
            LIBRARY.tg_concurrency_release(handle, permit.byValue());
        }
    }

    private final Pointer handle;

    public ConcurrencyLimiter(int limit) {
        this(limit, null);
    }

    public ConcurrencyLimiter(int limit, Place place) {
        var config = new NativeTidegate.ConcurrencyConfig();
        config.limit = limit;
        Place.put(place, config);
        var made = new PointerByReference();
        handle = Tidegate.made(LIBRARY.tg_concurrency_new(config, made), made);
    }

    /** Nothing when the limit is reached. */
    public Optional<Permit> tryAcquire() {
        return acquire(Duration.ZERO);
    }

    /** Waits for a permit, first come first served in this process; nothing at the deadline. */
    public Optional<Permit> acquire(Duration timeout) {
        var permit = new NativeTidegate.ConcurrencyPermit();
        int status = LIBRARY.tg_concurrency_acquire(handle, Math.max(timeout.toNanos(), 0), permit);
        return status == NativeTidegate.TG_OK ? Optional.of(new Permit(permit)) : Optional.empty();
    }

    /** How many permits are held now, by all who share the limit. */
    public int inUse() {
        var permits = new IntByReference();
        LIBRARY.tg_concurrency_in_use(handle, permits);
        return permits.getValue();
    }

    @Override
    public void close() {
        LIBRARY.tg_concurrency_free(handle);
    }
}
