package tidegate;

import static tidegate.NativeTidegate.LIBRARY;

import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.ptr.PointerByReference;
import java.util.Optional;

/**
 * Memory in which named objects live, shared by every process of the machine that opens it; safe for many threads. Objects in
 * it keep it open: it may be closed before them.
 */
public final class Arena implements AutoCloseable {
    /** What to do when an object exists and was last declared with other settings; the order is that of tg_on_conflict. */
    public enum OnConflict { ERROR, KEEP, APPLY }

    /** A name in an arena: who opens the same, in any process, has the same object. */
    public record Place(Arena arena, String name, OnConflict onConflict) {
        public Place(Arena arena, String name) {
            this(arena, name, OnConflict.ERROR);
        }

        /** Fills a config's fields in; a place that is null is memory of the object's own. */
        static void put(Place place, Structure config) {
            if (place != null) {
                config.writeField("arena", place.arena.handle);
                config.writeField("name", place.name);
                config.writeField("on_conflict", place.onConflict.ordinal());
            }
        }
    }

    private final Pointer handle;

    private Arena(Pointer handle) {
        this.handle = handle;
    }

    /** The arena of this machine with that name; {@code folder} of its file may be null, for TIDEGATE_DIR or shared memory. */
    public static Arena host(String name, String folder) {
        var config = new NativeTidegate.ArenaConfig();
        config.name = name;
        config.path = folder;
        var made = new PointerByReference();
        return new Arena(Tidegate.made(LIBRARY.tg_arena_open(config, made), made));
    }

    /** "host:orders", "process:orders", or "process" for none; null: what TIDEGATE_SCOPE says. */
    public static Optional<Arena> fromScope(String scope) {
        var made = new PointerByReference();
        return Optional.ofNullable(Tidegate.made(LIBRARY.tg_arena_from_scope(scope, made), made)).map(Arena::new);
    }

    /** Somewhere in this arena. */
    public Place at(String name) {
        return new Place(this, name);
    }

    /** Takes a name away, and says whether there was one. */
    public boolean remove(String name) {
        int status = LIBRARY.tg_arena_remove(handle, name);
        Tidegate.made(status, new PointerByReference());
        return status == NativeTidegate.TG_OK;
    }

    @Override
    public void close() {
        LIBRARY.tg_arena_free(handle);
    }
}
