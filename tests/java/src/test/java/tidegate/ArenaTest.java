package tidegate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tidegate.Arena.OnConflict;
import tidegate.Arena.Place;
import tidegate.RateLimiter.Algorithm;

class ArenaTest {
    private static final Duration MINUTE = Duration.ofMinutes(1);
    private Path folder;

    @BeforeEach
    void makeFolder() throws IOException {
        folder = Files.createTempDirectory(Path.of("/dev/shm"), "tidegate-java-");
    }

    @AfterEach
    void removeFolder() {
        for (var file : folder.toFile().listFiles()) {
            file.delete();
        }
        folder.toFile().delete();
    }

    record Shared(Tidegate.Bucket bucket, RateLimiter users, Tidegate.Breaker breaker, ConcurrencyLimiter calls) implements AutoCloseable {
        static Shared open(String folder) {
            try (var arena = Arena.host("orders", folder)) { // the objects keep it
                return new Shared(
                        new Tidegate.Bucket("10/h", 10, arena.at("door")),
                        new RateLimiter("3/h", Algorithm.TOKEN_BUCKET, 1000, arena.at("users")),
                        new Tidegate.Breaker(3, MINUTE, arena.at("payment")),
                        new ConcurrencyLimiter(2, arena.at("calls")));
            }
        }

        boolean takes(int tokens, int ofAnn, int failures) {
            boolean taken = bucket.tryAcquire(tokens) && users.tryAcquire("ann", ofAnn);
            for (int i = 0; i < failures; i++) {
                assertThrows(IOException.class, () -> breaker.call(() -> { throw new IOException("down"); }));
            }
            return taken;
        }

        @Override
        public void close() {
            bucket.close();
            users.close();
            breaker.close();
            calls.close();
        }
    }

    /** Takes a part of everything and holds both permits until it is killed. */
    static final class OtherProcess {
        public static void main(String[] folder) throws InterruptedException {
            var shared = Shared.open(folder[0]);
            boolean taken = shared.takes(4, 2, 2) && shared.calls.tryAcquire().isPresent() && shared.calls.tryAcquire().isPresent();
            System.out.println(taken ? "taken" : "denied");
            Thread.sleep(Long.MAX_VALUE);
        }
    }

    private Process otherProcess() throws IOException {
        var classes = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        return new ProcessBuilder(
                        System.getProperty("java.home") + File.separator + "bin" + File.separator + "java",
                        "-cp",
                        classes,
                        "-Djna.library.path=" + System.getProperty("jna.library.path"),
                        OtherProcess.class.getName(),
                        folder.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    @Test
    void twoProcessesObeyTheSameLimits() throws Exception {
        try (var shared = Shared.open(folder.toString())) {
            var other = otherProcess();
            try (var out = new BufferedReader(new InputStreamReader(other.getInputStream()))) {
                assertEquals("taken", out.readLine());
                assertFalse(shared.bucket.tryAcquire(7));
                assertFalse(shared.users.tryAcquire("ann", 2));
                assertTrue(shared.takes(6, 1, 1));
                assertThrows(Tidegate.CircuitOpenException.class, () -> shared.breaker.call(() -> "not called"));
                assertEquals(2, shared.calls.inUse());
                assertTrue(shared.calls.acquire(Duration.ofMillis(20)).isEmpty());
            } finally {
                other.destroyForcibly().waitFor();
            }
            // A dead process's permits come back.
            try (var permit = shared.calls.acquire(MINUTE).orElseThrow()) {
                assertEquals(1, shared.calls.inUse());
                permit.close();
                assertEquals(0, shared.calls.inUse());
            }
        }
    }

    @Test
    void otherSettingsAreToldKeptOrApplied() {
        try (var arena = Arena.host("orders", folder.toString());
                var bucket = new Tidegate.Bucket("10/h", 10, arena.at("door"))) {
            var wrong = assertThrows(Tidegate.ArenaException.class, () -> new Tidegate.Bucket("20/h", 20, arena.at("door")));
            assertEquals(-28, wrong.status);
            assertTrue(wrong.getMessage().contains("door"), wrong::getMessage);
            wrong = assertThrows(Tidegate.ArenaException.class, () -> new ConcurrencyLimiter(1, arena.at("door")));
            assertEquals(-27, wrong.status);
            try (var kept = new Tidegate.Bucket("20/h", 20, new Place(arena, "door", OnConflict.KEEP))) {
                assertFalse(kept.tryAcquire(20));
            }
            try (var applied = new Tidegate.Bucket("20/h", 20, new Place(arena, "door", OnConflict.APPLY))) {
                assertTrue(applied.check(15).compareTo(Duration.ZERO) > 0); // the ten that were there, not more
                assertTrue(bucket.tryAcquire(10));
            }
            assertTrue(arena.remove("door"));
            assertFalse(arena.remove("door"));
            assertThrows(IllegalArgumentException.class, () -> Arena.host("a/b", folder.toString()));
        }
    }

    @Test
    void oneTextSaysWhere() {
        assertTrue(Arena.fromScope("process").isEmpty());
        assertThrows(IllegalArgumentException.class, () -> Arena.fromScope("somewhere"));
        try (var arena = Arena.fromScope("process:java").orElseThrow();
                var one = new ConcurrencyLimiter(1, arena.at("calls"));
                var two = new ConcurrencyLimiter(1, arena.at("calls"))) {
            try (var permit = one.tryAcquire().orElseThrow()) {
                assertTrue(two.tryAcquire().isEmpty());
            }
            assertEquals(0, two.inUse());
        }
        assertThrows(IllegalArgumentException.class, () -> new ConcurrencyLimiter(0));
    }
}
