package tidegate;

import static tidegate.NativeTidegate.LIBRARY;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.IntByReference;
import com.sun.jna.ptr.PointerByReference;
import java.util.Optional;

/**
 * Several limits decided as one, all or nothing; safe for many threads, but close it when none uses it any more. Its members
 * stay in use by themselves, and may be closed before it.
 */
public final class LimitSet implements AutoCloseable {
    /** A name, and a bucket (for everybody) or a limiter (takes a key). */
    public static final class Member {
        private final String name;
        private final Pointer bucket;
        private final Pointer limiter;

        public Member(String name, Tidegate.Bucket bucket) {
            this.name = name;
            this.bucket = bucket.handle;
            this.limiter = null;
        }

        public Member(String name, RateLimiter limiter) {
            this.name = name;
            this.bucket = null;
            this.limiter = limiter.handle;
        }
    }

    /** What the set decided, and the name of the member that denied. */
    public record Verdict(RateLimiter.Decision decision, Optional<String> deniedBy) {}

    private final Pointer handle;
    private final String[] names;

    public LimitSet(Member... members) {
        var array = (NativeTidegate.LimitMember[]) new NativeTidegate.LimitMember().toArray(Math.max(members.length, 1));
        names = new String[members.length];
        for (int i = 0; i < members.length; i++) {
            names[i] = array[i].name = members[i].name;
            array[i].bucket = members[i].bucket;
            array[i].limiter = members[i].limiter;
        }
        var made = new PointerByReference();
        handle = Tidegate.made(LIBRARY.tg_limit_set_new(array, members.length, made), made);
    }

    /** Takes n from every member or nothing from any. keys: one for each RateLimiter, in order. */
    public Verdict check(int n, String... keys) {
        var array = (NativeTidegate.Bytes[]) new NativeTidegate.Bytes().toArray(Math.max(keys.length, 1));
        for (int i = 0; i < keys.length; i++) {
            byte[] bytes = RateLimiter.bytes(keys[i]);
            if (bytes.length > 0) {
                array[i].data = new Memory(bytes.length); // kept by the array until the call is over
                array[i].data.write(0, bytes, 0, bytes.length);
                array[i].len = bytes.length;
            }
        }
        var decision = new NativeTidegate.Decision();
        var deniedBy = new IntByReference(-1);
        int status = LIBRARY.tg_limit_set_check(handle, array, keys.length, n, decision, deniedBy);
        if (status < 0) {
            throw new IllegalArgumentException(LIBRARY.tg_status_message(status) + ": " + LIBRARY.tg_last_error_message());
        }
        int place = deniedBy.getValue();
        return new Verdict(RateLimiter.Decision.of(decision), place < 0 ? Optional.empty() : Optional.of(names[place]));
    }

    @Override
    public void close() {
        LIBRARY.tg_limit_set_free(handle);
    }
}
